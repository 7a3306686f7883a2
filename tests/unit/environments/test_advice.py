from __future__ import annotations

import time

import pytest

from proj.environments.advice import import_failure_hint
from proj.environments.failures import last_lines, tool_failure
from proj.model import HostRuntime, PreparedEnvironment
from proj.process import Completed

MARCH_2021 = 1614859200


def environment(kind: str = "python", as_of_s: int | None = None) -> PreparedEnvironment:
    return PreparedEnvironment(kind=kind, summary="x", runtime=HostRuntime(), as_of_s=as_of_s)


@pytest.mark.parametrize(
    "line",
    [
        "ImportError: cannot import name 'escape' from 'jinja2'",
        "AttributeError: module 'numpy' has no attribute 'float'",
        "AttributeError: 'DataFrame' object has no attribute 'append'",
        "TypeError: fit() got an unexpected keyword argument 'normalize'",
        "TypeError: Descriptors cannot be created directly.",
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility.",
        "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0",
    ],
)
def test_drift_leads_to_another_date(line: str) -> None:
    tail = f"Traceback (most recent call last):\n  File …\n{line}\n"
    assert "--as-of 2021-03-04" in (import_failure_hint(tail, environment(), MARCH_2021) or "")
    dated = import_failure_hint(tail, environment(as_of_s=MARCH_2021), MARCH_2021)
    assert dated is not None
    assert "--as-of now" in dated
    assert "--as-of 2020-03-04" in dated
    assert "--as-of DATE" in (import_failure_hint(tail, environment(), None) or "")
    assert import_failure_hint(tail, environment("system"), MARCH_2021) is None
    assert import_failure_hint(tail, environment(), int(time.time())) is None


def test_a_missing_module() -> None:
    tail = "ModuleNotFoundError: No module named 'sklearn'\n"
    assert "current environment has no sklearn" in (
        import_failure_hint(tail, environment("system"), None) or ""
    )
    assert "do not bring sklearn" in (import_failure_hint(tail, environment(), None) or "")
    gone = "ModuleNotFoundError: No module named 'pkg_resources'\n"
    assert "setuptools<82" in (import_failure_hint(gone, environment(), None) or "")
    moved = "ModuleNotFoundError: No module named 'sklearn.externals'\n"
    assert "--as-of" in (import_failure_hint(moved, environment(), None) or "")


@pytest.mark.parametrize("tail", ["", "ValueError: bad input", "KeyError: 'a'", "Killed"])
def test_other_failures_get_no_advice(tail: str) -> None:
    assert import_failure_hint(tail, environment(), MARCH_2021) is None


def failed(stderr: str, returncode: int = 1) -> Completed:
    return Completed(argv=("uv",), returncode=returncode, stdout="", stderr=stderr)


@pytest.mark.parametrize(
    ("stderr", "hint"),
    [
        ("error: failed to write: No space left on device (os error 28)", "disk is full"),
        ("error: Failed to fetch\n cause: dns error", "cannot be reached"),
        ("error: 401 Unauthorized", "credentials"),
        ("error: Failed to build `old==1.0`\n cause: gcc", "old==1.0 has to be built"),
        ("error: The build backend returned an error", "A package has to be built"),
        ("hint: numpy has no wheels with a matching Python version tag", "--python"),
        ("cause: Because x was not found in the package registry", "Check the name"),
        ("No solution found: a and b", "--as-of DATE"),
    ],
)
def test_what_to_do_next(stderr: str, hint: str) -> None:
    error = tool_failure("Cannot", failed(stderr), as_of_s=None, offline=False, python="3.9.18")
    assert hint in (error.hint or "")
    assert error.message == "Cannot."


def test_a_killed_installer_and_missing_packages_offline() -> None:
    killed = tool_failure("Cannot", failed("", -9), as_of_s=None, offline=False, python="3")
    assert "signal 9" in killed.message
    offline = tool_failure("Cannot", failed("No solution found"), as_of_s=None, offline=True, python="3")
    assert "without --offline" in (offline.hint or "")


def test_last_lines_keep_the_error_and_no_secret() -> None:
    text = (
        "\x1b[33mwarning: `x` is missing an upload date\x1b[0m\nResolved\nerror: no\n at https://me:pw@h/x\n"
    )
    assert last_lines(text) == ("error: no", " at https://***@h/x")
