"""Write `docs/reference/cli.md` from the commands' own help: `python tests/cli_reference.py`."""

from __future__ import annotations

from pathlib import Path

import click

from proj.cli import COMMANDS, cli

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"

INTRO = """\
# Command line

<!-- Written by `python tests/cli_reference.py`; a test holds it in step. -->

`proj COMMAND --help` shows the same. Results go to stdout; what happens meanwhile, and errors, to stderr.
With `--json` a command prints `{"version": 1, "command": …, "ok": …, "data": …}`, or `"error"` with
`code`, `message`, `hint` and `details` in place of `data`. A metric that is NaN or infinite is `null` there,
since JSON has no word for it. Wherever a run is asked for, its id, a unique
prefix of it, its name if that is unique, or `latest` will do. `NO_COLOR` switches colours off. Exit codes:
[signals and exit codes](signals-and-exit-codes.md).
"""


def _section(title: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=title.rpartition(" ")[2], parent=parent)
    context.max_content_width = context.terminal_width = 100
    text = f"\n## `{title}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            nested = command.get_command(context, name)
            assert nested is not None
            text += _section(f"{title} {name}", nested, context)
    return text


def _group(root: click.Context) -> str:
    """The options before the command."""
    root.max_content_width = root.terminal_width = 100
    return f"\n## `proj`\n\n```text\n{cli.get_help(root)}\n```\n"


def render() -> str:
    """Return the whole page."""
    root = click.Context(cli, info_name="proj", **cli.context_settings)
    text = INTRO + _group(root)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        text += _section(f"proj {name}", command, root)
    return text


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
