from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from comparekit import HOST
from proj import events, host
from proj.model import EnvironmentFacts, Package
from proj.record import CommandRecord
from proj.reproduction import surroundings

if TYPE_CHECKING:
    import pytest


def test_variables_become_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in host.inspect().variables:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("MKL_NUM_THREADS", "2")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("OTHER", "x")
    recorded = {"OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "0", "TZ": "UTC"}
    assert surroundings.changes(msgspec.structs.replace(HOST, variables=recorded)) == {
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "0",
        "MKL_NUM_THREADS": None,
    }


def test_devices_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in host.inspect().variables:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    recorded = {"CUDA_VISIBLE_DEVICES": "6,7", "HIP_VISIBLE_DEVICES": "3"}
    assert surroundings.changes(msgspec.structs.replace(HOST, variables=recorded)) == {}
    assert surroundings.changes(msgspec.structs.replace(HOST, variables={})) == {}


def test_a_record_cannot_set_any_variable() -> None:
    hostile = msgspec.structs.replace(HOST, variables={"LD_PRELOAD": "/tmp/x.so", "PYTHONPATH": "/tmp"})
    assert not {"LD_PRELOAD", "PYTHONPATH"} & surroundings.changes(hostile).keys()


def test_this_machine_is_no_other_than_itself() -> None:
    here = host.inspect()
    assert list(surroundings.machine_differences(here)) == []
    other = msgspec.structs.replace(here, cpu_model="a", libc="glibc 1.0", hostname="another")
    told = list(surroundings.machine_differences(other))
    assert [each.partition(" (")[0] for each in told] == ["processor", "C library"]
    assert told[1].startswith("C library (glibc 1.0, here ")


def test_environments_without_a_lock_are_compared() -> None:
    before = EnvironmentFacts(python_version="3.11.7", packages=(Package(name="six", version="1.0"),))
    assert list(surroundings.environment_differences(before, before)) == []
    now = EnvironmentFacts(python_version="3.12.1")
    assert list(surroundings.environment_differences(before, now)) == [
        "Python (3.11.7, here 3.12.1)",
        "1 installed package",
    ]


def test_variables_whose_values_are_in_no_record_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_NOW", "1")
    monkeypatch.setenv("OWN_SET", "1")
    monkeypatch.delenv("GONE", raising=False)
    read = ("GONE", "SAME", "SET_NOW")
    made = CommandRecord(line="", argv=(), cwd="/", variables=("OWN", "OWN_SET"), parameters=(), read=read)
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        surroundings.tell_of_variables(made, {"SAME"})
    assert len(told) == 2
    assert "no record: GONE, OWN." in told[0]
    assert "reads SET_NOW:" in told[1]
