"""`proj completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.cli import output


class CompletionScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script for a shell to source."""

    shell: str
    script: str

    def text(self) -> Iterator[output.Block]:
        """Yield the script."""
        yield self.script.rstrip("\n")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> CompletionScript:
    """Print the script that makes SHELL complete entry points, parameter names and run ids.

    \b
    bash: eval "$(proj completion bash)"       in ~/.bashrc
    zsh:  eval "$(proj completion zsh)"        in ~/.zshrc
    fish: proj completion fish | source        in config.fish
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    from click.shell_completion import get_completion_class

    from proj.cli import cli

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"No completion for {shell}.")
    script = completion_class(cli, {}, "proj", "_PROJ_COMPLETE").source()
    return CompletionScript(shell=shell, script=script)
