"""The one module that prints: results as text or JSON, errors, and what happens meanwhile."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import click
import msgspec

from proj.process import deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from typing_extensions import Self

    from proj.errors import ProjError
    from proj.events import Event

JSON_VERSION = 1
"""Version of the JSON envelope: `{"version", "command", "ok", "data" | "error"}`."""

_LEAST_CELLS = 8
"""What is left of a table's last column even where the line has no room for it."""

EXIT_BUG = 70
"""A defect of proj itself (`EX_SOFTWARE` of sysexits.h)."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for people; `rows` hold text, one item per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right_aligned: frozenset[str] = frozenset()
    """Names of the columns that hold numbers."""


class Line(msgspec.Struct, frozen=True):
    """A line (or some) with one word that is coloured where the terminal takes colours."""

    before: str
    word: str
    after: str
    colour: str


Block = str | Line | Table


class Stream:
    """A result as it is printed, made while it is printed: memory would not hold all of it.

    Args:
        chunks: Its text.
    """

    def __init__(self, chunks: Generator[str, None, None]) -> None:
        self.chunks = chunks


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


_STEERING = "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
"""What steers a terminal, or cannot be printed; a newline and a tab do no harm."""


def visible(text: str) -> str:
    """Write control characters as escapes: no name and no message of a tool draws on the terminal."""
    if text.isprintable():
        return text
    return re.sub(_STEERING, lambda match: ascii(match[0])[1:-1], text)


def write(text: str) -> None:
    """Print one line of a result on stdout."""
    print(visible(text))


def say(text: str, *, label: str = "", **style: Any) -> None:
    """Print one line about what happens on stderr, behind a label in a style of click's."""
    _print_line(f"{styled(label, **style)} {visible(text)}" if label else visible(text))


def prompt(text: str) -> None:
    """Print a question on stderr; the answer is typed behind it."""
    print(visible(text), end="", file=sys.stderr, flush=True)


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def colour_wanted(stream: Any) -> bool:
    """Whether a stream takes colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *, stream: Any = None, **style: Any) -> str:
    """Colour `text` (click's `style` arguments) where the stream takes colours; default stderr."""
    text = visible(text)
    return click.style(text, **style) if colour_wanted(stream or sys.stderr) else text


def to_builtins(value: object) -> object:
    """Turn a result into what JSON can say; paths become text."""
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)


def emit(result: object) -> int:
    """Render what a command returned; returns the exit code (the result's own, or 0)."""
    exit_code = int(getattr(result, "exit_code", 0) or 0)
    if result is None or isinstance(result, int):
        return int(result or 0)
    if isinstance(result, Stream):
        _print_stream(result.chunks)
    elif _state.as_json:
        envelope = {
            "version": JSON_VERSION,
            "command": _state.command,
            "ok": exit_code == 0,
            "data": to_builtins(result),
        }
        _write_json(envelope)
    elif isinstance(result, Result):
        for block in result.text():
            if isinstance(block, Table):
                write_table(block)
            elif isinstance(block, Line):
                word = styled(block.word, stream=sys.stdout, fg=block.colour, bold=True)
                print(f"{visible(block.before)}{word}{visible(block.after)}")
            elif getattr(result, "for_programs", False) and not sys.stdout.isatty():
                print(block)  # values as they are
            else:
                write(block)
    sys.stdout.flush()
    return exit_code


def _print_stream(chunks: Generator[str, None, None]) -> None:
    import contextlib

    raw = _state.as_json or not sys.stdout.isatty()
    with contextlib.closing(chunks):
        for chunk in chunks:
            sys.stdout.write(chunk if raw else visible(chunk))


def json_chunks(
    field: str, items: Iterable[object], rest: Callable[[], Mapping[str, object]] = dict
) -> Generator[str, None, None]:
    """Yield the text that a result with one long list is as JSON, without ever having all of it.

    Args:
        field: The list's name.
        items: The list.
        rest: Called after the last item: the other fields.
    """
    envelope = {"version": JSON_VERSION, "command": _state.command, "ok": True, "data": {field: []}}
    before, after = _json(envelope).split("[]")
    between = f"{before}["
    for item in items:
        yield f"{between}\n      {_json(item, 6)}"
        between = ","
    yield f"{before}[]" if between != "," else "\n    ]"
    for name, value in rest().items():
        yield f',\n    "{name}": {_json(value, 4)}'
    yield f"{after}\n"


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
        _write_json(envelope)
        return error.exit_code
    say(error.message, label="proj:", fg="red", bold=True)
    for line in error.details:
        say(line, label="  |", dim=True)
    if error.hint:
        say(error.hint, label="hint:", fg="cyan")
    return error.exit_code


def emit_interrupted(signum: int) -> None:
    """Say that a signal ended the command."""
    import signal

    message = f"stopped by {signal.Signals(signum).name}"
    if _state.as_json:
        body: dict[str, object] = {"code": "cancelled", "message": message, "hint": None, "details": []}
        _write_json({"version": JSON_VERSION, "command": _state.command, "ok": False, "error": body})
    say(f"proj: {message}")


def emit_bug(error: BaseException) -> int:
    """Say that this is a defect of proj, and show its traceback for the report."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if _state.as_json:
        body = {"code": "bug", "message": str(error), "hint": None, "details": text.splitlines()}
        _write_json({"version": JSON_VERSION, "command": _state.command, "ok": False, "error": body})
    say(text.rstrip())
    say("proj: this is a defect of proj, not of your project; please report it with the lines above.")
    return EXIT_BUG


def _json(value: object, column: int = 0) -> str:
    """Return JSON for people and programs, its lines but the first set in by so many blanks."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
    return text.replace("\n", "\n" + " " * column)


def _write_json(value: object) -> None:
    print(_json(value))


def write_table(table: Table) -> None:
    """Print a table on stdout; on a terminal, its last column is cut to what the line has room for."""
    if not table.rows:
        return
    if not sys.stdout.isatty():
        for line in plain_table(table):
            write(line)
        return
    import shutil

    header, *lines = plain_table(table, shutil.get_terminal_size().columns)
    print(styled(header, stream=sys.stdout, bold=True))
    for line in lines:
        write(line)


def plain_table(table: Table, width: int | None = None) -> list[str]:
    """Lay a table out in aligned columns, two blanks between them.

    Args:
        table: What to lay out.
        width: Of the lines; the last column is cut to it, the others never shrink. None: as wide as need be.
    """
    lines = [[visible(text) for text in line] for line in (table.columns, *table.rows)]
    widths = [max(_cells(line[index]) for line in lines) for index in range(len(table.columns))]
    left = None if width is None else max(width - sum(widths[:-1]) - 2 * len(widths[:-1]), _LEAST_CELLS)

    def cell(index: int, text: str) -> str:
        if left is not None and index == len(widths) - 1:
            text = _cut(text, left)
        padding = " " * (widths[index] - _cells(text))
        return padding + text if table.columns[index] in table.right_aligned else text + padding

    return ["  ".join(cell(index, text) for index, text in enumerate(line)).rstrip() for line in lines]


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _cut(text: str, cells: int) -> str:
    if _cells(text) <= cells:
        return text
    while _cells(text) >= cells:
        text = text[:-1]
    return f"{text}…"


class Watcher:
    """Shows events on stderr: plain lines, and on a terminal a moving line for what takes a while.

    A context manager: leaving it takes the moving line away. The same note or warning is shown once.

    Args:
        quiet: Show warnings only.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._animated = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._progress: Any = None
        self._task: Any = None
        self._said: set[Event] = set()
        self._lock = threading.Lock()
        """Events come from the threads in which things happen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        with deferred(), self._lock:  # an interrupt that comes as it is let go of would leave it locked
            self._take(event)

    def clear(self) -> None:
        """Take the moving line away, so that others can write."""
        with deferred(), self._lock:
            self._clear()

    def ask(self, question: str, choices: tuple[str, ...], stop: Callable[[], bool]) -> str | None:
        """Ask the person at the terminal; see `proj.events.Asker`."""
        from proj.cli.asking import ask  # hardly anybody is ever asked

        self.clear()
        return ask(question, choices, stop)

    def _take(self, event: Event) -> None:
        if event.kind == "output":
            self._clear()
        elif event.kind in ("note", "warning") and event in self._said:
            return
        elif event.kind == "warning":
            self._said.add(event)
            self._line(f"{styled('warning:', fg='yellow')} {visible(event.message)}")
        elif self._quiet:
            return
        elif event.kind == "status":
            # What comes next on the terminal may be the program's own output.
            self._clear()
            self._line(styled(event.message, bold=True))
        elif event.kind == "note":
            self._said.add(event)
            self._line(f"{styled('note:', fg='cyan')} {visible(event.message)}")
        elif event.kind == "step":
            if self._animated:
                self._show(event)
            else:
                say(event.message)
        elif self._animated:
            self._show(event)

    def _clear(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            _print_line(text)

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
            self._task = self._progress.add_task(visible(event.message), total=event.total)
        else:
            self._progress.update(
                self._task,
                description=visible(event.message),
                total=event.total,
                completed=event.done or 0,
            )
