"""What went wrong in a tool's own words, and what to do next."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from proj import paths
from proj.environments.variables import hide
from proj.errors import EnvironmentFailedError
from proj.process import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.process import Completed

_MAX_LINES = 16
_ANSI = r"\x1b\[[0-9;]*[A-Za-z]"
_NOISE = r"missing an upload date|^warning: Failed to inspect Python|^Using Python |^Using CPython |\d%\|.*\|"
_PUBLISHED = r"\bpublished at (\d{4}-\d{2}-\d{2})T"
NETWORK_DISABLED = r"(?i)network (?:connectivity )?(?:is|was) disabled"
"""How uv says that something is not in its cache and that it may not fetch it."""
_UNREACHABLE = (
    r"(?i)error sending request|dns error|Could not resolve host|Connection refused|Could not connect"
    r"|timed out|NewConnectionError|Max retries exceeded|Failed to fetch|unable to access"
)
_BUILD_FAILED = r"Failed to (?:download and )?build `?([^`\n]+?)`?(?:\n|$)|Failed building wheel for (\S+)"
_REFUSED = r"\b(?:401 Unauthorized|403 Forbidden)\b"
_WRONG_PYTHON = r"Python version tag|Python ABI tag|requires? Python|wheels are available for"
DAY_S = 24 * 60 * 60


def iso_time(seconds: int) -> str:
    """A time as the tools take it: RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_iso_time(text: str) -> int:
    """Seconds since the epoch of a time as `iso_time` writes it.

    Raises:
        ValueError: It is none.
    """
    import datetime as dt  # `time.strptime` would import three times as much

    moment = dt.datetime.fromisoformat(text.removesuffix("Z"))
    return int(moment.replace(tzinfo=dt.timezone.utc).timestamp())


def iso_date(seconds: int) -> str:
    """The last day before a time, in UTC: of a limit at midnight, the day that it still lets in."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds - 1))


def make_room() -> str:
    """What to do about a disk that is full."""
    return (
        f"Make room on the disk of {paths.cache()}, or set PROJ_CACHE to a folder on another one. "
        "`proj env prune` removes environments that are no longer used."
    )


def last_lines(text: str) -> tuple[str, ...]:
    """The lines of a tool's output that say why it failed, without credentials and colours."""
    lines = [line.rstrip() for line in redact(re.sub(_ANSI, "", text)).splitlines()]
    lines = [line for line in lines if line.strip() and not re.search(_NOISE, line)]
    first_error = next((index for index, line in enumerate(lines) if line.startswith("error")), 0)
    return tuple(lines[first_error:][-_MAX_LINES:])


def tool_failure(
    what: str,
    completed: Completed,
    *,
    as_of_s: int | None,
    offline: bool,
    python: str,
    hidden: Mapping[str, str] | None = None,
) -> EnvironmentFailedError:
    """The error for a resolver or installer that failed.

    Args:
        what: What was being done, on what: "Cannot resolve requirements.txt for Python 3.9.18".
        completed: The tool's run.
        as_of_s: The date that the packages were limited to.
        offline: Whether the network was off.
        python: The interpreter's version, for advice.
        hidden: See `proj.environments.variables.hide`.
    """
    output = hide(completed.stderr or completed.stdout, hidden or {})
    lines = last_lines(output)
    if completed.returncode < 0:
        return EnvironmentFailedError(
            f"{what}: the installer was ended by signal {-completed.returncode}.",
            hint="Signal 9 often means that memory ran out. Nothing half-built is kept: try again.",
            details=lines,
        )
    return EnvironmentFailedError(
        f"{what}.", hint=_hint(output, as_of_s=as_of_s, offline=offline, python=python), details=lines
    )


def _hint(output: str, *, as_of_s: int | None, offline: bool, python: str) -> str:
    other = _another_date(as_of_s)
    unsolved = "No solution found" in output
    dates = sorted(re.findall(_PUBLISHED, output))
    build = re.search(_BUILD_FAILED, output)
    rules: tuple[tuple[object, str], ...] = (
        (
            "No space left on device" in output or "os error 28" in output,
            f"The disk is full. {make_room()}",
        ),
        (
            offline and (unsolved or re.search(NETWORK_DISABLED, output)),
            "Not all of it is in the cache. Run once without --offline.",
        ),
        (
            not unsolved and re.search(_UNREACHABLE, output),
            (
                "The package index or repository cannot be reached. Check the network and the index "
                "settings; --offline uses only what is in the cache."
            ),
        ),
        (
            re.search(_REFUSED, output),
            "The package index refuses access. Check its credentials (in the URL, ~/.netrc or a keyring).",
        ),
        (
            dates,
            (
                "What is asked for is younger than the date: "
                f"try --as-of {dates[-1] if dates else 'DATE'}, or --as-of now."
            ),
        ),
        (
            build or "build backend returned an error" in output,
            (
                f"{_subject(build)} has to be built from source here and that failed. {other} "
                "Another --python may have a built wheel of it."
            ),
        ),
        (
            re.search(_WRONG_PYTHON, output),
            f"Python {python} does not fit: try another one with --python. {other}",
        ),
        (
            "not found in the package registry" in output,
            (
                "Check the name; a private package needs its index (--extra-index-url) and, where the index "
                f"asks for them, credentials. {other}"
            ),
        ),
    )
    return next((hint for applies, hint in rules if applies), other)


def _subject(build: re.Match[str] | None) -> str:
    return next((group for group in build.groups() if group), "A package") if build else "A package"


def _another_date(as_of_s: int | None) -> str:
    if as_of_s is None:
        return "Packages are those of today; --as-of DATE takes those of another time."
    return f"Packages are those of {iso_date(as_of_s)}; --as-of now takes today's."
