r"""Metrics that a program prints: lines such as `loss: 0.31` or `loss: 0.31 (step 40)`.

A metric is a line of its own: a key, a colon, a number, and perhaps a step. The key has the characters that
MLflow allows in a key, apart from the colon: letters, digits, `_ - . /` and blanks, at most 250 of them.
The number is decimal, `nan`, `inf` or `-inf`. Blanks around each part and colours are ignored; a carriage
return ends a line as a line feed does, so what a progress display shows counts too. Without a step, a key's
points are numbered from 0.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from proj import events

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = re.compile(
    r"\s*(?P<key>[\w./-](?:[\w./ -]*[\w./-])?)\s*:"
    r"\s*(?P<value>[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|inf|infinity|nan))"
    r"(?:\s*\(\s*step\s+(?P<step>\d{1,18})\s*\))?\s*",
    re.IGNORECASE,
)
"""The whole line, without colours."""

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_MAX_LINE_BYTES = 1024
_MAX_KEY_LENGTH = 250


class MetricReader:
    """Finds metrics in a byte stream that arrives in pieces.

    Args:
        on_metric: Takes key, value, step. If it fails, that is said once, and no more metrics are read.
    """

    def __init__(self, on_metric: Callable[[str, float, int], None]) -> None:
        self._on_metric = on_metric
        self._rest = b""
        self._next_step: dict[str, int] = {}
        self._failed = False

    def feed(self, data: bytes) -> None:
        """Take the next piece; an empty one ends the last line. Never raises."""
        if self._failed:
            return
        data = data or b"\n"
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        # A longer line is no metric; its beginning is enough to know that once the rest has come.
        self._rest = rest[: _MAX_LINE_BYTES + 1]
        for line in lines:
            if b":" in line and len(line) <= _MAX_LINE_BYTES and not self._failed:
                self._read(line)

    def _read(self, line: bytes) -> None:
        if b"\x1b" in line:
            line = _ESCAPES.sub(b"", line)
        match = LINE.fullmatch(line.decode("utf-8", "replace"))
        if match is None:
            return
        key = match["key"]
        if len(key) > _MAX_KEY_LENGTH or posixpath.normpath(key) != key or key.startswith(("/", "..")):
            return  # MLflow takes no key that would leave its folder
        step = int(match["step"]) if match["step"] else self._next_step.get(key, 0)
        self._next_step[key] = step + 1
        try:
            self._on_metric(key, float(match["value"]), step)
        except Exception as error:  # noqa: BLE001  the run matters more than its metrics
            self._failed = True
            events.warning(f"Metrics are no longer read from the output: {error}")
