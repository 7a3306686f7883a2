"""Points and lengths of time, as users write them and records keep them."""

from __future__ import annotations

import re
import time

from proj.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_S = 100 * 366 * 86400
_DURATION = r"(\d+(?:\.\d+)?)([smhdw])"


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def parse_duration(text: str) -> float:
    """Read a length of time in seconds: `90`, `90s`, `10m`, `1h30m`, `30d`, `2w`.

    Raises:
        UsageError: It is none of these.
    """
    written = text.strip().lower()
    seconds = None
    if re.fullmatch(r"\d+(\.\d+)?", written):
        seconds = float(written)
    elif written and re.sub(_DURATION, "", written) == "":
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(_DURATION, written))
    if seconds is None or seconds > _LONGEST_S:
        raise UsageError(
            f"Not a length of time: {text!r}.",
            hint="Write it like 90s, 10m, 1h30m or 30d; a hundred years at most.",
        )
    return seconds


def parse_time(text: str) -> int:
    """Read a point in time as seconds since the epoch: an ISO 8601 date (its end, in UTC) or time.

    Raises:
        UsageError: It is neither.
    """
    import datetime as dt

    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone.utc)
            return int((day + dt.timedelta(days=1)).timestamp())
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"Not a date or time: {text!r}.", hint="Write it like 2021-03-04 or 2021-03-04T12:00:00Z."
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp())
