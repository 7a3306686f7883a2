"""Which Python an environment is made of."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import msgspec

from proj import events, paths
from proj.environments.failures import DAY_S, parse_iso_time
from proj.environments.interpreters import Interpreter, current_interpreter, find_interpreters
from proj.environments.pythonspec import parse_python_spec, show
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proj.environments.pythonspec import PythonSpec, Version

_YEAR_S = 365 * DAY_S
_DOWNLOAD_TIMEOUT_S = 600
_ASK_AGAIN_S = 30 * DAY_S
"""How long a download that failed is not tried again."""

# PEP 537, 569, 596, 619, 664, 693, 719, 745: day of each first final release.
_RELEASED = {
    6: "2016-12-23", 7: "2018-06-27", 8: "2019-10-14", 9: "2020-10-05", 10: "2021-10-04",
    11: "2022-10-24", 12: "2023-10-02", 13: "2024-10-07", 14: "2025-10-07",
}  # fmt: skip


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An interpreter, and how far it is from what was asked for."""

    interpreter: Interpreter
    requested: str | None
    notes: tuple[str, ...] = ()


def choose_python(
    text: str | None,
    *,
    origin: str,
    exact: bool = False,
    as_of_s: int | None = None,
    download: bool = False,
    retry: bool = False,
    remember: bool = True,
) -> Choice:
    """Choose an interpreter for a version request.

    Args:
        text: The request as written; None: nobody asks for a version.
        origin: Where the request comes from, for messages.
        exact: Refuse another patch version than the one asked for.
        as_of_s: The time whose packages are used; a younger Python would find no builds of them.
        download: Whether one that is missing may be downloaded.
        retry: Try a download again that failed lately.
        remember: See `find_interpreters`.

    Raises:
        EnvironmentFailedError: There is none; the message lists what there is.
    """
    installed = find_interpreters(remember=remember)
    if text is None:
        return _unasked(installed, as_of_s)
    spec = parse_python_spec(text)
    fitting = [item for item in installed if spec.allows(item.version)]
    if fitting:
        return Choice(interpreter=_preferred(fitting, spec, as_of_s), requested=text)
    if download and _download(spec, retry=retry):
        fitting = [item for item in find_interpreters() if spec.allows(item.version)]
        if fitting:
            return Choice(interpreter=fitting[0], requested=text)
    wanted = spec.exact
    near = [item for item in installed if item.version[:2] == spec.minor] if wanted is not None else []
    if not near or wanted is None or exact:
        raise _missing(spec, origin, installed, near)
    nearest = min(near, key=lambda item: (abs(item.version[2] - wanted[2]), -item.version[2]))
    note = f"Python {show(wanted)} is not here: {nearest.version_text}, the nearest patch of it, is used."
    return Choice(interpreter=nearest, requested=text, notes=(note,))


def _unasked(installed: Sequence[Interpreter], as_of_s: int | None) -> Choice:
    """The Python that runs this program (MLflow's rule), or an older one where the packages are older."""
    current = current_interpreter()
    if is_of_that_time(current, as_of_s):
        return Choice(interpreter=current, requested=None)
    older = [item for item in installed if is_of_that_time(item, as_of_s)]
    if not older:
        return Choice(interpreter=current, requested=None)
    day = time.strftime("%Y-%m-%d", time.gmtime(as_of_s))
    note = (
        f"The project asks for no Python version: {older[0].version_text} is used, "
        f"since packages of {day} do not know a newer one (--python chooses)."
    )
    return Choice(interpreter=older[0], requested=None, notes=(note,))


def _preferred(fitting: list[Interpreter], spec: PythonSpec, as_of_s: int | None) -> Interpreter:
    """The newest for a version; for a range the current one if it fits, else the newest of that time."""
    if spec.minor is not None:
        return fitting[0]
    timely = [item for item in fitting if is_of_that_time(item, as_of_s)] or fitting[-1:]
    current = current_interpreter()
    return next((item for item in timely if item.version == current.version), timely[0])


def is_of_that_time(interpreter: Interpreter, as_of_s: int | None) -> bool:
    """Whether packages of that time can be expected to know this Python: it was out for a year."""
    if as_of_s is None:
        return True
    day = _RELEASED.get(interpreter.version[1])
    return day is not None and parse_iso_time(f"{day}T00:00:00Z") + _YEAR_S <= as_of_s


def _missing(
    spec: PythonSpec, origin: str, installed: Sequence[Interpreter], near: Sequence[Interpreter]
) -> EnvironmentFailedError:
    if installed:
        here = f"Here are {', '.join(item.version_text for item in installed)}."
        offer = near[0] if near else _closest(spec.exact or spec.minor or (3, 0), installed)
        hint = f"{here} `--python {show(offer.version[:2])}` takes one of them"
        hint += "; without `--python-match exact` the nearest patch would do." if near else "."
    else:
        hint = "No Python is installed here that can be used; install one, such as with `uv python install`."
    return EnvironmentFailedError(f"{origin} asks for Python {spec.text}, which is not here.", hint=hint)


def _closest(wanted: Version, installed: Sequence[Interpreter]) -> Interpreter:
    minor = wanted[1] if len(wanted) > 1 else 0
    return min(installed, key=lambda item: (abs(item.version[1] - minor), -item.version[2]))


def _download(spec: PythonSpec, *, retry: bool) -> bool:
    """Have uv download a Python; False if it cannot. A failure is remembered for some weeks."""
    import os

    if os.environ.get("UV_PYTHON_DOWNLOADS", "").lower() in ("never", "0", "false", "manual"):
        return False
    wanted = spec.exact or spec.minor
    request = show(wanted) if wanted is not None else spec.text
    failed = _failure_file(request)
    if not retry and _is_recent(failed):
        return False
    from proj.environments.indexes import tool_variables
    from proj.environments.uv import call_uv, work_folder
    from proj.errors import ProjError

    events.step(f"Downloading Python {request}")
    variables = {**tool_variables(), "UV_HTTP_RETRIES": "0", "UV_PYTHON_DOWNLOADS": None}
    try:
        with work_folder() as folder:
            completed = call_uv(
                ["python", "install", "--no-bin", request],
                cwd=folder, variables=variables, timeout_s=_DOWNLOAD_TIMEOUT_S,
            )  # fmt: skip
    except ProjError:
        return False
    if completed.returncode == 0:
        return True
    try:
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.touch()
    except OSError:
        return False
    return False


def _failure_file(request: str) -> Path:
    digest = hashlib.sha256(request.encode()).hexdigest()[:16]
    return paths.cache() / "no-download" / digest


def _is_recent(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime < _ASK_AGAIN_S
    except OSError:
        return False
