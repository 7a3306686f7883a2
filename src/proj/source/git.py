"""Calling git: which variables it sees, what it may do, and what its failures mean."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

from proj import process
from proj.errors import ToolFailedError
from proj.source.uri import redact_text

if TYPE_CHECKING:
    import subprocess  # noqa: TID251  only a type's name
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proj.source.uri import Credentials

# `git rev-parse --local-env-vars` without the configuration, plus what bends refs and quarantine: `proj run`
# inside a git hook must not write in the repository whose hook it is
REDIRECTING_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_PLUMBING: dict[str, str | None] = {
    **dict.fromkeys(REDIRECTING_VARIABLES),
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$PROJ_GIT_USERNAME" "$PROJ_GIT_PASSWORD"; }; f'
)
_GRACE_S = 3.0
_PROGRESS = r"(?:remote: )?[A-Z][\w ]+:\s+\d+%"


def run(
    *args: str,
    cwd: Path | None = None,
    git_dir: Path | None = None,
    env: dict[str, str | None] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
    settings: Sequence[tuple[str, str]] = (),
    exact: bool = False,
) -> process.Completed:
    """Run a git command that needs no network, without hooks and without writing a user's index.

    Args:
        args: The command.
        cwd: Where it runs.
        git_dir: The repository; None: the one that `cwd` is in.
        env: Variable -> value; None removes it.
        stdin: See `process.run`.
        check: See `process.run`.
        settings: Names and values that go before those of the repository.
        exact: See `process.run`.

    Raises:
        ToolMissingError: There is no git.
        ToolFailedError: It failed, and `check` is set.
    """
    location = () if git_dir is None else (f"--git-dir={git_dir}",)
    return process.run(
        ("git", *location, *_NO_HOOKS, *args),
        cwd=cwd,
        env={**_PLUMBING, **_setting_variables(settings), **(env or {})},
        stdin=stdin,
        check=check,
        exact=exact,
    )


def transfer(
    *args: str,
    git_dir: Path,
    cwd: Path,
    credentials: Credentials | None = None,
    allow_file: bool = False,
    on_stderr: Callable[[str], None] | None = None,
) -> str:
    """Run a git command that speaks with a remote, through GitPython, and return its standard output.

    Args:
        args: The git command; holds no credentials.
        git_dir: The repository; one that does not exist stands for "in no repository".
        cwd: Any folder that exists.
        credentials: What to answer when their host asks.
        allow_file: Whether a repository on this machine may be read by its path.
        on_stderr: Called with each line of standard error as it comes, from another thread.

    Raises:
        ToolMissingError: There is no git.
        ToolFailedError: It failed; its output is redacted.
    """
    run("version")  # GitPython's import fails in its own words where there is no git
    import git as gitpython  # noqa: TID251  this package is the one that may
    from git.cmd import handle_process_output  # noqa: TID251  see above

    out: list[str] = []
    err: list[str] = []

    def take_stderr(line: str) -> None:
        if not re.match(_PROGRESS, line):
            err.append(line)
        if on_stderr is not None:
            on_stderr(line.rstrip())

    interactive = _interactive()
    with process.deferred():
        child = gitpython.Git(str(cwd)).execute(
            ["git", *args],
            as_process=True,
            env={
                **_network_variables(git_dir, cwd, credentials, allow_file=allow_file),
                **process.guard_environment(),  # it ends with us, as what `process` starts
            },
            universal_newlines=True,
            errors="surrogateescape",
            start_new_session=not interactive,  # a prompt needs our terminal
        )
        started = child.proc
    try:
        handle_process_output(child, out.append, take_stderr, decode_streams=False)
        returncode = started.wait() if started is not None else -1
    except BaseException:
        with process.deferred():
            child.proc = None  # GitPython would close pipes that its reading threads hold, and hang
            _stop(started, in_group=not interactive)
        raise
    if returncode:
        raise ToolFailedError(
            f"git {args[0]} ended with exit code {returncode}.",
            returncode=returncode,
            stderr=redact_text("".join(err), credentials),
        )
    return "".join(out)


def _stop(child: subprocess.Popen[str] | None, *, in_group: bool) -> None:
    """End git and, where they have a process group of their own, all that it has started."""
    import subprocess  # noqa: TID251  only its exception; GitPython has started the process

    if child is None:
        return
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if in_group:
                os.killpg(child.pid, signum)
            elif child.poll() is None:
                child.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_GRACE_S)
            if not in_group:
                return


def _network_variables(
    git_dir: Path, cwd: Path, credentials: Credentials | None, *, allow_file: bool
) -> dict[str, str]:
    """Variables to add. GitPython cannot take any away, so what redirects is given its true value."""
    variables = {
        "GIT_DIR": str(git_dir),
        "GIT_ALLOW_PROTOCOL": "http:https:ssh:git" + (":file" if allow_file else ""),
        "GIT_OPTIONAL_LOCKS": "0",
    }
    true_values = {
        "GIT_COMMON_DIR": str(git_dir),
        "GIT_OBJECT_DIRECTORY": str(git_dir / "objects"),
        "GIT_INDEX_FILE": str(git_dir / "index"),
        "GIT_WORK_TREE": str(cwd),
        "GIT_GRAFT_FILE": str(git_dir / "info/grafts"),
        "GIT_SHALLOW_FILE": str(git_dir / "shallow"),
    }
    for name in REDIRECTING_VARIABLES:
        if name in os.environ and name not in variables:
            variables[name] = true_values.get(name, "")
    settings = [
        ("core.hooksPath", os.devnull),
        ("gc.auto", "0"),
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", "60"),
    ]
    if not _interactive():
        variables["GIT_TERMINAL_PROMPT"] = "0"
        variables["SSH_ASKPASS"] = ""
        if not any(name in os.environ for name in ("GIT_SSH_COMMAND", "GIT_SSH")) and not _own_ssh():
            variables["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes -o ConnectTimeout=30"
    if credentials is not None:
        settings += _credential_settings(credentials)
        variables["PROJ_GIT_USERNAME"] = credentials.username
        variables["PROJ_GIT_PASSWORD"] = credentials.password or ""
    return {**variables, **_setting_variables(settings)}


def _setting_variables(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings as variables, behind those that the caller gives git; unlike `-c`, for names with `=`, too."""
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables: dict[str, str] = {}
    for index, (key, value) in enumerate(settings, start=first):
        variables[f"GIT_CONFIG_KEY_{index}"] = key
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    if settings:
        variables["GIT_CONFIG_COUNT"] = str(first + len(settings))
    return variables


def _credential_settings(credentials: Credentials) -> list[tuple[str, str]]:
    """Git asks a helper only for the host that the URL names, so a redirect elsewhere learns nothing."""
    section = f"credential.{credentials.scope}"
    if credentials.password is None:
        return [(f"{section}.username", credentials.username)]
    # the empty one forgets the user's own helpers, which might store what they are shown
    return [(f"{section}.helper", ""), (f"{section}.helper", _HELPER)]


def _interactive() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


def _own_ssh() -> bool:
    return run("config", "--get", "core.sshCommand", check=False).returncode == 0
