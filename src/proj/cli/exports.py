"""Exports: results as comma-separated values or JSON, on stdout or in a file, of any length."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from proj.cli import output, wording
from proj.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from contextlib import AbstractContextManager

Form = Literal["csv", "json"]

_F = TypeVar("_F", bound="Callable[..., object]")
_T = TypeVar("_T")

_FORMS: dict[str, Form] = {".csv": "csv", ".json": "json"}


def options(function: _F) -> _F:
    """Add `--csv`, `-o` and `--json` to a command; the first two are its arguments `as_csv` and `file`."""
    csv = click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
    file = click.option(
        "-o",
        "--output",
        "file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write FILE instead: as its ending, .csv or .json, says, or --csv, or --json.",
    )
    return csv(file(output.json_option(function)))


def form(file: Path | None, *, as_csv: bool) -> Form | None:
    """Return the form that the options ask for; None: a table for people.

    Raises:
        UsageError: They ask for two, or for a file of no form.
    """
    if as_csv and output.as_json():
        raise UsageError("--csv and --json exclude each other.")
    if as_csv or output.as_json():
        return "csv" if as_csv else "json"
    if file is None:
        return None
    found = _FORMS.get(file.suffix.lower())
    if found is None:
        raise UsageError(
            f"What to write to {file} is not said.",
            hint="Add --csv or --json, or let FILE end in .csv or .json.",
        )
    return found


class Counter:
    """Counts what passes."""

    def __init__(self) -> None:
        self.count = 0

    def each(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items."""
        for item in items:
            self.count += 1
            yield item


def holding(resource: AbstractContextManager[object], chunks: Iterable[str]) -> Generator[str, None, None]:
    """Yield chunks of text, and release what they are read from after the last one."""
    with resource:
        yield from chunks


def deliver(
    chunks: Generator[str, None, None], file: Path | None, counter: Counter, noun: str
) -> output.Stream | None:
    """Print an export or write it to a file, which is there whole or not at all.

    Args:
        chunks: Its text.
        file: Where to; None: stdout.
        counter: Knows afterwards how much it was.
        noun: What was counted.

    Raises:
        StoreError: The file cannot be written.
    """
    if file is None:
        return output.Stream(chunks)
    with contextlib.closing(chunks):
        try:
            _write(file, chunks)
        except OSError as error:
            raise StoreError(
                f"{file} cannot be written: {error.strerror}.", hint="Give another FILE with -o."
            ) from error
    output.say(f"Wrote {wording.counted(counter.count, noun)} to {file}.")
    return None


def _write(file: Path, chunks: Iterable[str]) -> None:
    if file.exists() and not file.is_file():  # a pipe, or /dev/stdout
        with file.open("w", encoding="utf-8", newline="") as target:
            target.writelines(chunks)
        return
    place = file.resolve()
    temporary = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as target:
            target.writelines(chunks)
        temporary.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
