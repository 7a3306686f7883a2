"""`proj server` and `proj server token`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import paths
from proj.cli import output, wording
from proj.errors import NotFoundError, StoreError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.server.tokens import TokenFile
    from proj.tracking.store import ArtifactStore


class AddedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was made; it is shown once."""

    name: str
    read_only: bool
    token: str

    def text(self) -> Iterator[output.Block]:
        """Yield the token alone, so that a script can take it."""
        output.say(
            f"The token of {self.name}; it cannot be shown again. Clients take it as MLFLOW_TRACKING_TOKEN:"
        )
        yield self.token


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token."""

    name: str
    read_only: bool
    created_ms: int


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that a server takes."""

    tokens: tuple[TokenInfo, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a table, by name."""
        if not self.tokens:
            output.say("No tokens. `proj server token add NAME` makes one.")
            return
        yield output.Table(
            columns=("NAME", "MAY", "CREATED"),
            rows=tuple(
                (token.name, "read" if token.read_only else "read and write", wording.clock(token.created_ms))
                for token in self.tokens
            ),
        )


class RevokedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that counts no longer."""

    name: str

    def text(self) -> Iterator[output.Block]:
        """Yield one line."""
        yield f"{self.name} revoked"


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes any that is free."
)
@click.option("--auth", is_flag=True, help="Answer only those who have a token (`proj server token add`).")
@click.option("--insecure", is_flag=True, help="Let everybody in who can reach the address.")
@click.option("--certfile", type=click.Path(path_type=Path), help="Certificate for TLS, PEM.")
@click.option("--keyfile", type=click.Path(path_type=Path), help="Its key, if in a file of its own.")
@click.option(
    "--artifacts-destination",
    metavar="URI",
    envvar="PROJ_ARTIFACT_ROOT",
    help="Where artifacts of new runs are kept: s3://BUCKET/FOLDER, gs://…, abfss://…, or a folder. "
    "[default: artifacts in PROJ_HOME]",
)
@click.option(
    "--serve-artifacts/--no-serve-artifacts",
    default=True,
    help="Hand artifacts on, so that clients need no rights where they are kept; or send clients there. "
    "[default: hand on]",
)
@click.option(
    "--access-log", type=click.Path(path_type=Path), help="Write a line per request here, not to stderr."
)
@click.option("--no-access-log", is_flag=True, help="Write no line per request.")
@click.pass_context
def command(
    ctx: click.Context,
    host: str,
    port: int,
    auth: bool,
    insecure: bool,
    certfile: Path | None,
    keyfile: Path | None,
    artifacts_destination: str | None,
    serve_artifacts: bool,
    access_log: Path | None,
    no_access_log: bool,
) -> None:
    """Serve the records of PROJ_HOME to MLflow clients, until Ctrl-C.

    \b
    proj server                                         for this machine
    proj server token add ada                           a token for Ada, then
    proj server --host 0.0.0.0 --auth --certfile c.pem --keyfile k.pem
    proj server --artifacts-destination s3://bucket/runs
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    if ctx.invoked_subcommand is not None:
        return
    from proj import recovery
    from proj.server.serve import Settings, serve
    from proj.tracking import open_tracking
    from proj.tracking.artifact_stores import root_uri

    root = root_uri(artifacts_destination) if artifacts_destination else None
    settings = Settings(
        host=host,
        port=port,
        auth=auth,
        insecure=insecure,
        certfile=certfile,
        keyfile=keyfile,
        artifact_root=root,
        serve_artifacts=serve_artifacts,
        access_log=access_log,
        log_requests=not no_access_log,
    )
    home = paths.home()
    with open_tracking(home, root) as tracking:
        if root is not None:
            _check_destination(tracking.artifacts, root)
        recovery.recover(tracking, home)
        serve(tracking, home, settings, lambda url: _announce(home, url, auth=auth))
    output.say("Stopped.")


def _announce(home: Path, url: str, *, auth: bool) -> None:
    nobody = auth and not _tokens().tokens()
    hint = " Nobody is let in yet: `proj server token add NAME` makes a token." if nobody else ""
    output.say(f"Serving {home} on {url}; Ctrl-C stops it.{hint}")


def _check_destination(artifacts: ArtifactStore, root: str) -> None:
    """See that artifacts can be kept there, before clients find out that they cannot.

    Raises:
        StoreError: The bucket is not there, or not for us.
    """
    try:
        artifacts.open(root, "no-such-artifact").close()
    except NotFoundError:
        return
    except UnreachableError as error:
        output.say(f"{error.message} What needs no artifacts is served all the same.")
    except StoreError as error:
        # It speaks of the name that was tried, which nobody has asked for.
        why = error.message.partition(": ")[2] or error.message
        raise StoreError(f"No artifacts can be kept in {root}: {why}", hint=error.hint) from error


@command.group()
def token() -> None:
    """Add, list and revoke tokens; servers that run see the change at once."""


@token.command()
@click.argument("name")
@click.option("--read-only", is_flag=True, help="It may look at everything and change nothing.")
@output.json_option
def add(name: str, read_only: bool) -> AddedToken:
    """Make a token for NAME and print it, once: only its digest is kept."""
    return AddedToken(name=name, read_only=read_only, token=_tokens().add(name, read_only=read_only))


@token.command("list")
@output.json_option
def list_() -> TokenList:
    """List the names that have a token."""
    return TokenList(
        tokens=tuple(
            TokenInfo(name=kept.name, read_only=kept.read_only, created_ms=kept.created_ms)
            for kept in _tokens().tokens()
        )
    )


@token.command()
@click.argument("name")
@output.json_option
def revoke(name: str) -> RevokedToken:
    """End the token of NAME."""
    return RevokedToken(name=_tokens().revoke(name).name)


def _tokens() -> TokenFile:
    from proj.server.tokens import home_tokens

    return home_tokens(paths.home())
