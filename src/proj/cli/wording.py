"""How times, sizes and states of runs are told to people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proj import sizes

if TYPE_CHECKING:
    from proj.model import RunRecord

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_DAYS_AGO = 14
_FINE_S = 10

size = sizes.in_words


def ago(moment_ms: int) -> str:
    """Tell how long ago something was: `5s ago`, `3h ago`; after two weeks the date."""
    seconds = max(0, int(time.time() - moment_ms / 1000))
    if seconds >= _DAYS_AGO * _DAY_S:
        return clock(moment_ms)[:10]
    for size, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def clock(moment_ms: int) -> str:
    """Tell a time as local date and time with its zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment_ms / 1000))


def span(seconds: float) -> str:
    """Tell a length of time: `0.31s`, `42s`, `3m05s`, `2h04m`, `3d02h`."""
    if seconds < _FINE_S:
        return f"{seconds:.2f}s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"
    return f"{whole // _DAY_S}d{whole % _DAY_S // _HOUR_S:02}h"


def took_s(run: RunRecord) -> float | None:
    """How long a run took, or takes; None where it is not known."""
    if run.ended_ms is not None:
        return max(0, run.ended_ms - run.started_ms) / 1000
    if run.status.finished:
        return None
    return max(0.0, time.time() - run.started_ms / 1000)


def number(value: float) -> str:
    """Tell a metric's value in at most six digits."""
    return f"{value:.6g}"


def harmless(line: str) -> str:
    """Replace control characters, so that no recorded text can draw on the terminal."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)


def one_line(text: str) -> str:
    """Fold white space, and make the text harmless."""
    return harmless(" ".join(text.split()))


def shortened(text: str, width: int) -> str:
    """Cut one line of text to `width` characters."""
    line = one_line(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def counted(number_of: int, noun: str) -> str:
    """Tell how many: `1 run`, `2 runs`."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"
