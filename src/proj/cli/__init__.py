"""The command line: one file per command; `output` alone prints.

A command is a click function in `proj.cli.<name>` called `command`. It returns a result (see
`proj.cli.output.Result`) and never prints; `main` renders what it returned, or the error it raised, once.
"""

from __future__ import annotations

import os
import sys
from signal import SIGINT, SIGPIPE
from typing import TYPE_CHECKING

import click

from proj.cli import output
from proj.errors import EXIT_CANNOT_RUN, ProjError, UsageError
from proj.process import Interrupted, interruptible
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

COMMANDS = {
    "run": ("proj.cli.run", "Run an entry point of a project and record it."),
    "runs": ("proj.cli.runs", "List and search runs."),
    "show": ("proj.cli.show", "Show all that is recorded of a run."),
    "metrics": ("proj.cli.metrics", "Print metrics of runs, and their histories."),
    "logs": ("proj.cli.logs", "Print what a run wrote; -f follows it."),
    "build": ("proj.cli.build", "Make a container image of a project."),
    "reproduce": ("proj.cli.reproduce", "Make a run again from its record, and check it."),
    "diff": ("proj.cli.diff", "Show what differs between two runs."),
    "artifacts": ("proj.cli.artifacts", "List and get a run's files."),
    "checkout": ("proj.cli.checkout", "Get the code of a run back, as it ran."),
    "wait": ("proj.cli.wait", "Wait for runs to end."),
    "cancel": ("proj.cli.cancel", "Stop runs."),
    "reconcile": ("proj.cli.reconcile", "Close runs that nobody looks after any more."),
    "rm": ("proj.cli.rm", "Mark runs as deleted."),
    "restore": ("proj.cli.restore", "Bring deleted runs back."),
    "sync": ("proj.cli.sync", "Deliver what waits for a tracking server."),
    "gc": ("proj.cli.gc", "Remove deleted runs and their files for good."),
    "check": ("proj.cli.check", "Check a project file without running anything."),
    "env": ("proj.cli.env", "List, verify, lock and prune environments."),
    "export": ("proj.cli.export", "Write runs into one file, to share or keep."),
    "import": ("proj.cli.import_", "Take in exported runs, or the records of MLflow."),
    "server": ("proj.cli.server", "Serve the records to MLflow clients."),
    "init": ("proj.cli.init", "Write a project file from what is in a folder."),
    "completion": ("proj.cli.completion", "Print the completion script of a shell."),
    "version": ("proj.cli.version", "Print the version."),
}
"""Command -> module that holds it, one-line help. Modules are imported when their command is called."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module: Any = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, n=1)
            raise UsageError(
                f"There is no command {name!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else "See `proj --help`.",
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Load variables from a dotenv file; those that are set already stay.",
)
@click.option("--tracking-uri", metavar="URI", help="Where the records are: a server's URL, or a folder.")
@click.version_option(__version__, prog_name="proj", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, env_file: str | None, tracking_uri: str | None) -> None:
    """Run a project, keep a record, make the same run again.

    \b
    proj run .                              run the MLproject in this folder
    proj run https://host/team/repo -v v1.2 run a revision of a repository
    proj show latest                        look at the record
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    if env_file is not None:
        from proj.cli.dotenv import load

        load(env_file)
    if tracking_uri is not None:
        from proj import place

        ctx.call_on_close(place.choose(tracking_uri))
    if ctx.invoked_subcommand is None:
        output.write(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    sys.exit(invoke(argv))


def invoke(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; the one place where errors are caught."""
    try:
        with interruptible():
            result = cli.main(
                args=None if argv is None else list(argv), prog_name="proj", standalone_mode=False
            )
            return output.emit(result)
    except Exception as error:  # noqa: BLE001  every error ends here, bugs too
        return _tell(error)
    except (Interrupted, KeyboardInterrupt) as interrupt:
        signum = getattr(interrupt, "signum", SIGINT)
        output.emit_interrupted(signum)
        return 128 + int(signum)


def _tell(error: Exception) -> int:
    if isinstance(error, ProjError):
        return output.emit_error(error)
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"See `{context.command_path} --help`." if context else None
        return output.emit_error(UsageError(error.format_message(), hint=hint))
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has gone (`proj runs | head`): nothing to say, and nobody to say it to.
        _drop_output()
        return 128 + int(SIGPIPE)
    if isinstance(error, OSError) and (refusal := _refusal_of_output()) is not None:
        _drop_output()
        said = f"Cannot write to standard output: {refusal.strerror}."
        output.say(said, label="proj:", fg="red", bold=True)
        return EXIT_CANNOT_RUN
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        said = "The folder that this command was started in is gone."
        return output.emit_error(UsageError(said, hint="Change to another one: cd."))
    return output.emit_bug(error)


def _refusal_of_output() -> OSError | None:
    """Why standard output takes nothing more, such as a full disk; None if it does."""
    try:
        output.write("")
        sys.stdout.flush()
    except OSError as refusal:
        return refusal
    return None


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere: no second error at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  no path is made of it
    except FileNotFoundError:
        return True
    return False
