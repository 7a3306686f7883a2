from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj import host
from proj.host import Gpu, Host
from projkit import ProjFolder, echo_project

if TYPE_CHECKING:
    from pathlib import Path

NVIDIA_SMI = """#!/bin/sh
if [ $# -eq 0 ]; then
  echo "| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4     |"
else
  echo "NVIDIA A100, 550.54, 40960 MiB"
fi
"""


@pytest.mark.parametrize(
    "name",
    ["OMP_NUM_THREADS", "MKL_CBWR", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "VECLIB_MAXIMUM_THREADS",
     "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS", "PYTORCH_CUDA_ALLOC_CONF",
     "XLA_FLAGS", "LC_NUMERIC", "LANG", "TZ", "CUDA_VISIBLE_DEVICES", "NUMEXPR_MAX_THREADS"],
)  # fmt: skip
def test_variables_that_decide_about_numbers_are_recorded(name: str) -> None:
    assert host.inspect({name: "7"}).variables[name] == "7"


@pytest.mark.parametrize(("value", "counts"), [("0,1", False), ("GPU-8e2f", False), ("", True), ("-1", True)])
def test_devices_do_not_decide_but_that_there_are_none(value: str, *, counts: bool) -> None:
    given = {"CUDA_VISIBLE_DEVICES": value, "HIP_VISIBLE_DEVICES": value, "TZ": "UTC"}
    assert host.deciding(given) == (given if counts else {"TZ": "UTC"})


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN", "OMP_TOKEN", "MY_TZ", "TZ_KEY", "PATH", "HOME"]
)
def test_no_other_variable_is(name: str) -> None:
    assert name not in host.inspect({name: "canary"}).variables


def test_a_variable_that_is_taken_away_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    assert host.inspect().variables["PYTHONHASHSEED"] == "1"
    assert "PYTHONHASHSEED" not in host.inspect({"PYTHONHASHSEED": None}).variables


def test_flags_are_those_that_matter_for_numbers() -> None:
    assert host._flags("fpu vme smep avx avx2 avx512f fma lm sse4_2") == (
        "avx", "avx2", "avx512f", "fma", "sse4_2",
    )  # fmt: skip
    assert host._flags("fp asimd sve crc32") == ("asimd", "sve")


def test_this_machine_says_what_it_is() -> None:
    found = host.inspect()
    assert found.kernel == os.uname().release
    assert found.cpu_count >= 1
    assert found.gpus == ()


def test_gpu_and_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = host.inspect()
    assert found.gpus == (Gpu(name="NVIDIA A100", driver="550.54", memory="40960 MiB"),)
    assert found.cuda == "12.4"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert (host.inspect().gpus, host.inspect().cuda) == ((), None)


def test_a_run_records_what_its_command_finds(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    found = msgspec.json.decode(folder.artifact(folder.the_run(), "proj/host.json"), type=Host)
    assert found.variables["OMP_NUM_THREADS"] == "3"


def test_older_records_lack_what_was_not_asked_then() -> None:
    older = (
        b'{"hostname": "h", "system": "Linux", "kernel": "6", "distribution": null, "machine": "x86_64", '
        b'"cpu_model": null, "cpu_count": 2, "memory_bytes": null, "gpus": []}'
    )
    found = msgspec.json.decode(older, type=Host)
    assert (found.cpu_flags, found.cuda, found.variables) == ((), None, {})
