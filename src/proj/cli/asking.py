"""Questions at a terminal."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from proj.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 0.2
_LINE_BYTES = 4096


def ask(question: str, choices: tuple[str, ...], stop: Callable[[], bool]) -> str | None:
    """Ask the person at the terminal until a choice is typed, or its first letter; see `proj.events.Asker`.

    There is no answer where nobody sits at a terminal, or what is printed is for programs, or the input ends.
    """
    if output.as_json() or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    offered = " or ".join(f"[{choice[0]}]{choice[1:]}" for choice in choices)
    while True:
        output.prompt(f"{question} {offered}? ")
        answer = _line(stop)
        if answer is None:
            output.prompt("\n")
            return None
        found = [choice for choice in choices if answer and choice.startswith(answer)]
        if len(found) == 1:
            return found[0]


def _line(stop: Callable[[], bool]) -> str | None:
    """A line that is typed, in small letters."""
    while not stop():
        if select.select([0], [], [], _LOOK_S)[0]:
            typed = os.read(0, _LINE_BYTES)
            return typed.decode(errors="replace").strip().lower() if typed else None
    return None
