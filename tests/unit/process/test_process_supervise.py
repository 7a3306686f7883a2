from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from drivers import alive, few_descriptors, left_open, opened
from proj import process
from proj.process import demands

if TYPE_CHECKING:
    import subprocess  # noqa: TID251  for a type only
    from collections.abc import Callable
    from pathlib import Path

LINE = "setsid bash -c 'echo $$ > away; exec sleep 600' & until [ -s away ]; do :; done; echo out; sleep 600"


def start(
    folder: Path, line: str, *, tap: Callable[[bytes], None] | None = None, deadline: float | None = None
) -> tuple[subprocess.Popen[bytes], process.Supervision]:
    streams = process.Streams(folder, quiet=True, tap=tap)
    token = process.new_token()
    child = process.spawn(
        ["bash", "-c", line],
        cwd=folder,
        env=os.environ,
        stdout=streams.stdout,
        stderr=streams.stderr,
        tokens=(token,),
    )
    streams.started()
    return child, process.Supervision(child, streams.outputs, token=token, grace_s=600.0, deadline=deadline)


def fail(data: bytes) -> None:
    if data:
        raise LookupError("inside")


def test_an_error_inside_ends_all_that_runs(tmp_path: Path) -> None:
    child, supervision = start(tmp_path, LINE, tap=fail)
    with pytest.raises(LookupError, match="inside"):
        supervision.wait()
    assert not alive(child.pid)
    assert not alive(int((tmp_path / "away").read_text()))
    assert child.returncode == -9


def test_after_an_error_inside_it_can_be_asked_again(tmp_path: Path) -> None:
    _child, supervision = start(tmp_path, LINE, tap=fail)
    with pytest.raises(LookupError) as first:
        supervision.wait()
    supervision.cancel()
    with pytest.raises(LookupError) as second:
        supervision.wait()
    assert second.value is first.value


def test_an_error_inside_leaves_no_descriptor(tmp_path: Path) -> None:
    process.guard_environment()  # the watchdog's pipe stays
    before = opened()
    _child, supervision = start(tmp_path, LINE, tap=fail)
    with pytest.raises(LookupError):
        supervision.wait()
    assert not left_open(before)


def test_a_time_limit_of_ages_is_no_error(tmp_path: Path) -> None:
    _child, supervision = start(tmp_path, "exit 3", deadline=6e16)
    assert supervision.wait().returncode == 3


def test_a_wait_that_is_cut_short_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demands, "_LONGEST_WAIT_S", 0.01)
    _child, supervision = start(tmp_path, "sleep 0.1; exit 3", deadline=6e16)
    assert supervision.wait().returncode == 3


@pytest.mark.parametrize("free", range(4))
def test_what_cannot_be_looked_after_is_ended(tmp_path: Path, free: int) -> None:
    process.guard_environment()
    before = opened()
    streams = process.Streams(tmp_path, quiet=True)
    child = process.spawn(["sleep", "600"], cwd=tmp_path, env=os.environ, stdout=streams.stdout)
    streams.started()
    with few_descriptors(free), pytest.raises(OSError, match="Too many open files"):
        process.Supervision(child, streams.outputs, token=process.new_token(), grace_s=1.0)
    streams.close()
    assert child.returncode == -9
    assert not left_open(before)
