"""`proj version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click
import msgspec

from proj.cli import output
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator


class VersionResult(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that matter in a report."""

    proj: str
    python: str
    platform: str

    def text(self) -> Iterator[output.Block]:
        """Yield one line."""
        yield f"proj {self.proj} (Python {self.python}, {self.platform})"


@click.command()
@output.json_option
def command() -> VersionResult:
    """Print the version of proj, of its Python, and the platform."""
    return VersionResult(proj=__version__, python=platform.python_version(), platform=platform.platform())
