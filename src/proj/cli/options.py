"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from proj.errors import UsageError
from proj.model import LockMode

_F = TypeVar("_F", bound=Callable[..., object])


def _choose(ctx: click.Context, _parameter: click.Parameter, uri: str | None) -> None:
    if uri is not None:
        from proj import place

        ctx.call_on_close(place.choose(uri))


def tracking_option(function: _F) -> _F:
    """Add `--tracking-uri` to a command."""
    option = click.option(
        "--tracking-uri",
        metavar="URI",
        expose_value=False,
        callback=_choose,
        help="Where the records are: a server's URL, or a folder.  [default: PROJ_HOME]",
    )
    return option(function)


def remote_url(_ctx: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    """The absolute path of a repository that is a folder here; git looks elsewhere for a relative one."""
    from pathlib import Path

    if url is not None and (url.startswith(("./", "../")) or Path(url).is_dir()):
        return str(Path(url).resolve())
    return url


def pairs(values: tuple[str, ...], option: str) -> tuple[tuple[str, str], ...]:
    """Split values of a repeatable `NAME=VALUE` option at their first `=`.

    Raises:
        UsageError: One has no name, or no `=`.
    """
    found = []
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise UsageError(f"Invalid format for {option}: {value!r}. Use {option} name=value.")
        found.append((name, content))
    return tuple(found)


python_option = click.option(
    "--python", metavar="VERSION", help="Python to use instead of the one the project asks for."
)
as_of_option = click.option(
    "--as-of",
    default="commit",
    show_default=True,
    metavar="commit|now|DATE",
    help="Leave out packages uploaded later.",
)
_LOCK_OPTIONS = (
    click.option("--upgrade", is_flag=True, help="Resolve the packages anew."),
    click.option("--locked", is_flag=True, help="Use the project's own lock, and fail if it does not fit."),
    click.option("--frozen", is_flag=True, help="Use the project's own lock without checking that it fits."),
)


def lock_options(function: _F) -> _F:
    """Add the options that `lock_mode` takes to a command."""
    for option in reversed(_LOCK_OPTIONS):
        function = option(function)
    return function


def lock_mode(*, upgrade: bool, locked: bool, frozen: bool) -> LockMode:
    """How a lock is come by.

    Raises:
        UsageError: More than one way is asked for.
    """
    given = ((upgrade, LockMode.UPGRADE), (locked, LockMode.LOCKED), (frozen, LockMode.FROZEN))
    chosen = [mode for wanted, mode in given if wanted]
    if len(chosen) > 1:
        raise UsageError(f"Give one of {' and '.join('--' + mode.value for mode in chosen)}, not both.")
    return chosen[0] if chosen else LockMode.REUSE


_KUBERNETES_OPTIONS = (
    click.option(
        "-n", "--namespace", metavar="NAME", help="Kubernetes: the namespace.  [default: the context's]"
    ),
    click.option("--context", "kube_context", metavar="NAME", help="Kubernetes: the kubeconfig's context."),
    click.option("--cpu", metavar="CPUS", help="Kubernetes: CPUs that the program needs, such as 2 or 500m."),
    click.option("--memory", metavar="SIZE", help="Kubernetes: memory that the program gets, such as 8Gi."),
    click.option(
        "--gpus", metavar="COUNT", type=click.IntRange(0), help="Kubernetes: GPUs that the program gets."
    ),
    click.option("--queue", metavar="NAME", help="Kubernetes: a LocalQueue of Kueue."),
    click.option(
        "--delivery",
        type=click.Choice(["bundle", "image"]),
        help="Kubernetes: bring the code along, or in an image.  [default: bundle, with a repository image]",
    ),
    click.option(
        "--allow-host-path", is_flag=True, help="Kubernetes: let docker_env mount folders of the node."
    ),
    click.option(
        "--allow-privileges",
        is_flag=True,
        help="Kubernetes: let the project file take Secrets, claims, a service account, and root.",
    ),
    click.option(
        "--pending-timeout", metavar="TIME", help="Kubernetes: how long to wait for a node.  [default: 30m]"
    ),
)
_OF_KUBERNETES = (
    "namespace", "kube_context", "cpu", "memory", "gpus", "queue", "delivery", "allow_host_path",
    "allow_privileges", "pending_timeout",
)  # fmt: skip
"""Options that are settings of the backend, under the same names."""


def kubernetes_options(function: _F) -> _F:
    """Add the options that `backend_config` takes to a command."""
    for option in reversed(_KUBERNETES_OPTIONS):
        function = option(function)
    return function


def backend_config(options: Mapping[str, Any]) -> str:
    """The backend's settings: those of `--backend-config`, and those that have options of their own.

    Args:
        options: `backend`, `backend_config`, and those of `kubernetes_options`.

    Raises:
        UsageError: The settings are no JSON object, or an option is another backend's.
    """
    config = "{}"
    if options["backend_config"] is not None:
        from proj import api

        config = api.config_json(options["backend_config"])
    given = {name: options[name] for name in _OF_KUBERNETES if options[name] not in (None, False)}
    if not given:
        return config
    if options["backend"] != "kubernetes":
        option = "context" if next(iter(given)) == "kube_context" else next(iter(given)).replace("_", "-")
        raise UsageError(f"--{option} is for --backend kubernetes.")
    settings = {name.replace("_", "-"): value for name, value in given.items()}
    return msgspec.json.encode({**msgspec.json.decode(config), **settings}).decode()
