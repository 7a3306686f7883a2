"""The one module that prints: results as text or JSON, errors, and what happens meanwhile."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Self

    from proj.errors import ProjError
    from proj.events import Event

JSON_VERSION = 1
"""Version of the JSON envelope: `{"version", "command", "ok", "data" | "error"}`."""

EXIT_BUG = 70
"""A defect of proj itself (`EX_SOFTWARE` of sysexits.h)."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for people; `rows` hold text, one item per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right_aligned: frozenset[str] = frozenset()
    """Names of the columns that hold numbers."""


Block = str | Table


@runtime_checkable
class Result(Protocol):
    """What a command returns: a frozen msgspec struct (its fields are the JSON) that can be told as text."""

    def text(self) -> Iterable[Block]:
        """Yield lines and tables for people."""


class _State:
    """What the options of this invocation say about output."""

    command = ""
    as_json = False


_state = _State()
_F = TypeVar("_F", bound="Callable[..., object]")


def json_option(function: _F) -> _F:
    """Add `--json` to a command."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        _state.as_json = value
        _state.command = ctx.command_path.partition(" ")[2]

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Print the result as JSON.",
    )
    return option(function)


def as_json() -> bool:
    """Whether this invocation was asked for JSON."""
    return _state.as_json


def write(text: str) -> None:
    """Print one line of a result on stdout."""
    print(text)


def say(text: str) -> None:
    """Print one line about what happens on stderr."""
    print(text, file=sys.stderr, flush=True)


def colour_wanted(stream: Any) -> bool:
    """Whether a stream takes colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *, stream: Any = None, **style: Any) -> str:
    """Colour `text` (click's `style` arguments) where the stream takes colours; default stderr."""
    return click.style(text, **style) if colour_wanted(stream or sys.stderr) else text


def to_builtins(value: object) -> object:
    """Turn a result into what JSON can say; paths become text."""
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)


def emit(result: object) -> int:
    """Render what a command returned; returns the exit code (the result's own, or 0)."""
    exit_code = int(getattr(result, "exit_code", 0) or 0)
    if result is None or isinstance(result, int):
        return int(result or 0)
    if _state.as_json:
        envelope = {
            "version": JSON_VERSION,
            "command": _state.command,
            "ok": exit_code == 0,
            "data": to_builtins(result),
        }
        write(_json(envelope))
    elif isinstance(result, Result):
        for block in result.text():
            if isinstance(block, Table):
                _write_table(block)
            else:
                write(block)
    sys.stdout.flush()
    return exit_code


def emit_error(error: ProjError) -> int:
    """Tell an error once: message, the tool's own lines, what to do next. Returns the exit code."""
    if _state.as_json:
        body: dict[str, object] = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "details": list(error.details),
        }
        diagnostics = getattr(error, "diagnostics", None)
        if diagnostics:
            body["diagnostics"] = to_builtins(diagnostics)
        envelope = {"version": JSON_VERSION, "command": _state.command, "ok": False, "error": body}
        write(_json(envelope))
        return error.exit_code
    say(f"{styled('proj:', fg='red', bold=True)} {error.message}")
    for line in error.details:
        say(f"  {styled('|', dim=True)} {line}")
    if error.hint:
        say(f"{styled('hint:', fg='cyan')} {error.hint}")
    return error.exit_code


def emit_interrupted(signum: int) -> None:
    """Say that a signal ended the command."""
    import signal

    message = f"stopped by {signal.Signals(signum).name}"
    if _state.as_json:
        body: dict[str, object] = {"code": "cancelled", "message": message, "hint": None, "details": []}
        write(_json({"version": JSON_VERSION, "command": _state.command, "ok": False, "error": body}))
    say(f"proj: {message}")


def emit_bug(error: BaseException) -> int:
    """Say that this is a defect of proj, and show its traceback for the report."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if _state.as_json:
        body = {"code": "bug", "message": str(error), "hint": None, "details": text.splitlines()}
        write(_json({"version": JSON_VERSION, "command": _state.command, "ok": False, "error": body}))
    say(text.rstrip())
    say("proj: this is a defect of proj, not of your project; please report it with the lines above.")
    return EXIT_BUG


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def _write_table(table: Table) -> None:
    if not table.rows:
        return
    if sys.stdout.isatty():
        _write_rich_table(table)
        return
    for line in plain_table(table):
        write(line)


def plain_table(table: Table) -> list[str]:
    """Lay a table out in aligned columns, two blanks between them."""
    lines: Sequence[Sequence[str]] = [table.columns, *table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]

    def cell(index: int, text: str) -> str:
        right = table.columns[index] in table.right_aligned
        return text.rjust(widths[index]) if right else text.ljust(widths[index])

    return ["  ".join(cell(index, text) for index, text in enumerate(line)).rstrip() for line in lines]


def _write_rich_table(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        right = column in table.right_aligned
        drawn.add_column(column, justify="right" if right else "left", overflow="ellipsis", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(Text(text) for text in row))
    Console(no_color=not colour_wanted(sys.stdout)).print(drawn)


class Watcher:
    """Shows events on stderr: plain lines, and on a terminal a moving line for what takes a while.

    A context manager: leaving it takes the moving line away.

    Args:
        quiet: Show warnings only.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._animated = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if event.kind == "warning":
            self._line(f"{styled('warning:', fg='yellow')} {event.message}")
        elif self._quiet:
            return
        elif event.kind == "status":
            # What comes next on the terminal may be the program's own output.
            self.clear()
            self._line(styled(event.message, bold=True))
        elif event.kind == "note":
            self._line(f"{styled('note:', fg='cyan')} {event.message}")
        elif event.kind == "step":
            if self._animated:
                self._show(event)
            else:
                say(event.message)
        elif self._animated:
            self._show(event)

    def clear(self) -> None:
        """Take the moving line away, so that others can write."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            say(text)

    def _show(self, event: Event) -> None:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=Console(stderr=True, no_color=not colour_wanted(sys.stderr)),
                transient=True,
            )
            self._progress.start()
        if event.kind == "step" or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(event.message, total=event.total)
        else:
            self._progress.update(
                self._task, description=event.message, total=event.total, completed=event.done or 0
            )
