"""`proj init`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import scaffold
from proj.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator


class InitResult(msgspec.Struct, frozen=True, kw_only=True):
    """The project file that was written."""

    file: str
    entry_points: tuple[str, ...]
    environment: str | None
    """The file that the environment comes from; None: the folder has none."""
    left_out: tuple[str, ...]
    """Options of the scripts that are no parameters, each with the reason."""
    next: str
    """A command that runs the first entry point."""

    def text(self) -> Iterator[output.Block]:
        """Yield what was written and what to do next."""
        yield f"Wrote {self.file} with {', '.join(self.entry_points)}."
        if self.environment is None:
            yield "It names no environment: a run uses the current one, unless you add a requirements.txt."
        if self.left_out:
            yield f"Left out: {', '.join(self.left_out)}."
            yield "What takes one value can be given all the same: -P NAME=VALUE becomes --NAME VALUE."
        yield f"Next: {self.next}"


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a project file that is there.")
@output.json_option
def command(directory: Path, force: bool) -> InitResult:
    """Write an MLproject file for the scripts in DIRECTORY (default: this folder).

    Options that the scripts read by argparse or click become parameters, where they are simple.
    """
    file, drafted = scaffold.write(directory, force=force)
    words = ["proj", "run", str(file.parent)]
    name = drafted.entry_points[0]
    words += [] if name == "main" else ["-e", name]
    given = "".join(f" -P {shlex.quote(required)}=…" for required in drafted.required)
    return InitResult(
        file=str(file),
        entry_points=drafted.entry_points,
        environment=drafted.environment,
        left_out=drafted.left_out,
        next=shlex.join(words) + given,
    )
