"""What a container is made of: an execution in the words of the Engine API. No request is made here."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from proj import events, paths, process
from proj.backends.docker import arguments
from proj.backends.docker.volumes import expanded, is_name
from proj.errors import BackendError, FailureCode, UsageError
from proj.model import ARTIFACTS_DIR, DockerDeclaration, Execution, ImageRuntime
from proj.users import user_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proj.backends.docker.arguments import Body

_SHELL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LABEL_RUN: Final = "proj.run"
_DECLARED: Final = ("user", "shm_size", "gpus", "network")
"""Keys of `docker_env` that are arguments of `docker run`, too."""
_LABEL_TIMEOUT: Final = "proj.timeout"
_LABEL_GRACE: Final = "proj.grace"
_LABEL_KEEP: Final = "proj.keep"
_STARTER: Final = """proj_ready= proj_nl='
'
while [ -z "$proj_ready" ] && IFS= read -r proj_line; do eval "$proj_line"; done
[ "$proj_ready" = yes ] || exit 125; unset proj_ready proj_nl proj_line; "$@" </dev/null; exit $?"""
"""Takes variables that nobody may see from the standard input, an assignment a line, then runs the command.

They are complete when the last of them has come: should we die before that, the command must not start. The
input's end is not waited for, since not every connection can be closed by half. The shell stays: as the
container's first process the command itself would not be ended by signals.
"""


def body_of(execution: Execution, runtime: ImageRuntime, *, local: bool = True) -> Body:
    """The request that makes a container for an execution; secrets are no part of it.

    Args:
        execution: What runs.
        runtime: The image.
        local: Whether the engine sees this machine's folders.

    Raises:
        UsageError: The project's `docker_env` or the user's `-A` cannot be honoured.
        BackendError: A variable that the project copies from here is not set.
    """
    declared = runtime.docker or DockerDeclaration(image=runtime.image)
    shown = {name: value for name, value in execution.variables.items() if name not in execution.secrets}
    if not local:
        shown.pop("PROJ_ARTIFACTS", None)  # nothing of this machine can be there
    body: Body = {
        "Image": runtime.image,
        "Cmd": ["sh", "-c", _STARTER, "sh", *runtime.wrapper, *execution.command.argv],
        "WorkingDir": execution.command.cwd,
        "Env": [f"{name}={value}" for name, value in _variables(runtime, declared, shown).items()],
        "Labels": _own_labels(execution),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {"Mounts": list(_mounts(execution, runtime)) if local else []},
    }
    project = Path(execution.code.root) / execution.code.subdir if execution.code else Path.cwd()
    _apply(body, declared, execution.docker_args, project)
    _as_caller(body)
    return body


def check(
    declared: DockerDeclaration | None,
    docker_args: tuple[tuple[str, str | None], ...],
    project: Path,
    secrets: tuple[str, ...] = (),
) -> None:
    """See that a container can be given what is asked for, before anything is built or started.

    Args:
        declared: What the project says; None: it names no image.
        docker_args: The user's arguments of `docker run`.
        project: The project's folder.
        secrets: The variables that the project names as secrets.

    Raises:
        UsageError: An argument or a volume cannot be meant.
        BackendError: A variable that the project copies from here is not set.
    """
    declared = declared or DockerDeclaration(image="")
    declared_variables(declared)
    # What a run sets by itself has these names.
    missing = [
        name for name in secrets if name not in os.environ and not name.startswith(("MLFLOW_", "PROJ_"))
    ]
    if missing:
        raise _not_set(missing, _SECRETS, instead="")
    body: Body = {}
    _apply(body, declared, docker_args, project)
    _check_mounts(arguments.host(body).get("Mounts", ()))
    if arguments.wants_terminal(docker_args):
        events.note(
            "-A t: the program gets no terminal of its own, so that its stdout and stderr are kept apart."
        )
    for volume in (*declared.volumes, *_given_volumes(docker_args)):
        source = volume.partition(":")[0]
        if ":" in volume and is_name(source) and (project / source).is_dir():
            events.warning(
                f"The volume {volume} is one that docker keeps under the name {source}. "
                f"For the project's folder write ./{volume}."
            )


def _check_mounts(mounts: Iterable[Body]) -> None:
    """See that what `-A mount=type=bind` mounts is there: unlike folders of volumes, nobody makes it."""
    sources = [mount["Source"] for mount in mounts if mount["Type"] == "bind"]
    if not sources:
        return
    from proj.images.engine import Engine

    missing = [source for source in sources if not Path(source).exists()]
    if missing and Engine().is_local:
        raise UsageError(
            f"The docker argument mount: its source {missing[0]} is not there.",
            hint="Make it, or write -A volume=SOURCE:TARGET, which makes a folder.",
        )


def hidden_of(body: Body) -> dict[str, str]:
    """Take those variables out of a request whose names, or URLs with passwords, say that they are secret.

    Whoever may ask the engine sees the rest: in `docker inspect`, for as long as the container is there.
    """
    pairs = [entry.partition("=")[::2] for entry in body["Env"]]
    hidden = {
        name: value for name, value in pairs if _SHELL_NAME.fullmatch(name) and process.is_secret(name, value)
    }
    body["Env"] = [f"{name}={value}" for name, value in pairs if name not in hidden]
    return hidden


def secrets_of(execution: Execution, hidden: Mapping[str, str]) -> bytes:
    """What the container's standard input gets: the secrets as lines that a shell takes as assignments.

    Args:
        execution: What runs.
        hidden: More of them.

    Raises:
        BackendError: A variable that the project names as a secret is not set.
    """
    values = {**hidden}
    values |= {name: execution.variables[name] for name in execution.secrets if name in execution.variables}
    missing = []
    for name in execution.secrets:
        if name in values or name in _OURS:
            continue
        if name in os.environ:
            values[name] = os.environ[name]
        else:
            missing.append(name)
    if missing:
        raise _not_set(missing, _SECRETS, instead="")
    lines = [f"export {name}={_quoted(value)}" for name, value in values.items()]
    return "\n".join([*lines, "proj_ready=yes", ""]).encode("utf-8", "surrogateescape")


def _quoted(value: str) -> str:
    """A value as the starter takes it: without the line feeds that end an assignment."""
    return '"$proj_nl"'.join(shlex.quote(line) for line in value.split("\n"))


def _own_labels(execution: Execution) -> dict[str, str]:
    """What somebody has to know who finds the container when its client has died."""
    labels = {
        LABEL_RUN: execution.run_id,
        "proj.project": execution.project_name,
        "proj.home": str(paths.home()),
        _LABEL_GRACE: f"{execution.grace_s:g}",
        _LABEL_KEEP: str(execution.keep).lower(),
    }
    if execution.timeout_s is not None:
        labels[_LABEL_TIMEOUT] = f"{execution.timeout_s:g}"
    return labels


def labels(inspected: dict[str, Any]) -> dict[str, str]:
    """The labels of a container that the engine tells of."""
    return (inspected.get("Config") or {}).get("Labels") or {}


def resumed(execution: Execution, inspected: dict[str, Any]) -> Execution:
    """An execution as it was when its container was made, as far as that still matters."""
    known = labels(inspected)
    timeout = known.get(_LABEL_TIMEOUT)
    return msgspec.structs.replace(
        execution,
        grace_s=float(known.get(_LABEL_GRACE) or execution.grace_s),
        timeout_s=None if timeout is None else float(timeout),
        keep=known.get(_LABEL_KEEP) == "true",
    )


_SECRETS: Final = "`secrets` of `proj`"
_OURS: Final = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def declared_variables(declared: DockerDeclaration) -> dict[str, str]:
    """What `environment` of `docker_env` sets.

    Raises:
        BackendError: Variables that it copies from here are not set; all are named.
    """
    missing = [name for name, value in declared.environment if value is None and name not in os.environ]
    if missing:
        raise _not_set(missing, "`environment` of `docker_env`")
    return {name: os.environ[name] if value is None else value for name, value in declared.environment}


def _not_set(
    names: list[str], what: str, *, instead: str = ", or give a value in the project file"
) -> BackendError:
    verb = "is" if len(names) == 1 else "are"
    pairs = [name.partition("=")[0] for name in names if "=" in name]
    if pairs:  # what follows may be a secret
        return BackendError(
            f"{what} has {pairs[0]}=…, which is no name of a variable.",
            code=FailureCode.PROJECT_INVALID,
            hint=f"Write [{pairs[0]}, VALUE] to give it a value, or {pairs[0]} to copy it from here.",
        )
    return BackendError(
        f"{what} copies {', '.join(names)} from here, which {verb} not set.",
        code=FailureCode.PROJECT_INVALID,
        hint=f"Set {'it' if len(names) == 1 else 'them'}{instead}; --env-file loads a file of variables.",
    )


def _variables(
    runtime: ImageRuntime, declared: DockerDeclaration, given: Mapping[str, str]
) -> dict[str, str]:
    return {**runtime.variables, **declared_variables(declared), **given}


def _mounts(execution: Execution, runtime: ImageRuntime) -> Iterator[Body]:
    code = execution.code
    if code is not None and not runtime.has_code:
        yield _bind(code.root, code.directory, read_only=False)
    for mount in execution.mounts:
        yield _bind(mount.source, mount.target, read_only=mount.read_only)
    yield _bind(Path(execution.record_dir).parent, ARTIFACTS_DIR, read_only=False)


def _bind(source: Path, target: str, *, read_only: bool) -> Body:
    return {"Type": "bind", "Source": str(source.resolve()), "Target": target, "ReadOnly": read_only}


def _apply(
    body: Body,
    declared: DockerDeclaration,
    docker_args: tuple[tuple[str, str | None], ...],
    project: Path,
) -> None:
    for name in _DECLARED:
        value = getattr(declared, name)
        if value is not None:
            arguments.apply(
                body, [(name.replace("_", "-"), value)], where=f"`{name}` of `docker_env` is {value}"
            )
    arguments.apply(body, docker_args)
    arguments.check_together(body)
    machine = arguments.host(body)
    volumes = tuple(expanded(volume, project) for volume in (*declared.volumes, *machine.pop("Binds", ())))
    if bound := [volume for volume in volumes if ":" in volume]:
        machine["Binds"] = bound
    if alone := [volume for volume in volumes if ":" not in volume]:
        body["Volumes"] = {volume: {} for volume in alone}


def _given_volumes(docker_args: tuple[tuple[str, str | None], ...]) -> Iterator[str]:
    return (value for name, value in docker_args if value and name.lstrip("-") in ("v", "volume"))


def _as_caller(body: dict[str, Any]) -> None:
    """Let files that the run makes belong to who started it, unless another user was asked for."""
    if "User" in body:
        return
    body["User"] = f"{os.getuid()}:{os.getgid()}"
    names = {entry.partition("=")[0] for entry in body["Env"]}
    if os.getuid() == 0:
        return
    # The image does not know this user: without a home, much would be written below /.
    for name, value in (("HOME", "/tmp"), ("USER", user_name()), ("LOGNAME", user_name())):  # noqa: S108  the container's
        if name not in names:
            body["Env"].append(f"{name}={value}")
