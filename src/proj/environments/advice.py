"""What a failed run says about its environment."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from proj.environments.failures import DAY_S, iso_date

if TYPE_CHECKING:
    from proj.model import PreparedEnvironment

_RECENT_S = 90 * DAY_S
_DRIFT = (
    re.compile(r"^ImportError: cannot import name .*", re.MULTILINE),
    re.compile(r"^AttributeError: module '[\w.]+' has no attribute .*", re.MULTILINE),
    re.compile(r"^AttributeError: '?\w+'? object has no attribute .*", re.MULTILINE),
    re.compile(r"^TypeError: .*unexpected keyword argument .*", re.MULTILINE),
    re.compile(r"^TypeError: Descriptors cannot (?:not )?be created directly", re.MULTILINE),
    re.compile(r"^(?:ImportError|RuntimeError): .*(?:numpy|NumPy).*(?:version|ABI|compiled).*", re.MULTILINE),
    re.compile(r"numpy\.dtype size changed|A module that was compiled using NumPy 1\.x"),
)
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '(?P<name>[\w.]+)'", re.MULTILINE)


def import_failure_hint(
    stderr_tail: str, prepared: PreparedEnvironment, commit_time_s: int | None
) -> str | None:
    """What to try when a run failed in a way that is typical of packages of another time than the code's.

    Args:
        stderr_tail: The last lines that the program wrote to standard error.
        prepared: The environment it ran in.
        commit_time_s: When the code was committed; None without git.

    Returns:
        One or two sentences, or None where nothing points to the environment.
    """
    missing = _MISSING.search(stderr_tail)
    if missing:
        name = missing["name"]
        top = name.partition(".")[0]
        if prepared.kind == "system":
            return (
                f"The current environment has no {top}. Name it in a python_env.yaml or requirements.txt "
                f"of the project, or install it."
            )
        if top == "pkg_resources":
            return "pkg_resources is gone from setuptools 82: add `setuptools<82` to the dependencies."
        if "." not in name:
            return f"The project's requirements do not bring {top}: add the package that has it."
    if prepared.kind not in ("python", "conda"):
        return None
    if not missing and not any(pattern.search(stderr_tail) for pattern in _DRIFT):
        return None
    return _other_date(prepared.as_of_s, commit_time_s)


def _other_date(as_of_s: int | None, commit_time_s: int | None) -> str | None:
    lead = "This looks like packages of another time than the code's."
    if as_of_s is None:
        if commit_time_s is None:
            return (
                f"{lead} `--as-of DATE` takes packages as they were then: try a date when this code worked."
            )
        if time.time() - commit_time_s < _RECENT_S:
            return None
        return f"{lead} Try those of the commit's time: --as-of {iso_date(commit_time_s)}."
    return (
        f"{lead} Packages are those of {iso_date(as_of_s)}: "
        f"try an earlier time (--as-of {iso_date(as_of_s - 365 * DAY_S)}) or today's (--as-of now)."
    )
