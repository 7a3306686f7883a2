"""Builds by the docker daemon, for what needs one: a project's own Dockerfile, packages without wheels."""

from __future__ import annotations

import io
import re
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from proj import events
from proj.errors import ImageError
from proj.images.code import code_entries
from proj.images.daemon import connected
from proj.images.tarfiles import Entry, with_folders, write_tar
from proj.images.values import CODE, ENVIRONMENT, CodeSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAST_LINES = 20
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What colours a terminal: the daemon marks in red what programs write to stderr."""


def build_project(
    root: Path,
    context: str,
    *,
    dockerfile: str,
    arguments: Mapping[str, str],
    platform: str | None,
    tag: str | None = None,
) -> str:
    """Have the daemon build a project's Dockerfile.

    Args:
        root: Top of the tree.
        context: The context's folder in it; empty: the top.
        dockerfile: Path relative to the context.
        arguments: Build argument -> value.
        platform: See `BuildSpec`.
        tag: What the daemon is to call it; None: nothing.

    Returns:
        The image, as `docker:<id>`.

    Raises:
        ImageError: There is no daemon, or the build fails.
    """
    prefix = f"{CODE[1:]}/{context}/" if context else f"{CODE[1:]}/"
    entries = [
        Entry(path=each.path[len(prefix) :], mode=each.mode & 0o755, file=each.file, link=each.link)
        for each in code_entries(CodeSpec(root=root, project=context))
        if each.path.startswith(prefix)
    ]
    wanted = PurePosixPath(dockerfile).as_posix()
    if not any(each.path == wanted for each in entries):
        raise ImageError(f"There is no {dockerfile} in {root / context}.")
    events.step(f"Building {dockerfile} by the docker daemon")
    return _build(entries, dockerfile=wanted, arguments=arguments, platform=platform, tag=tag)


def build_packages(base: str, lock: bytes, *, python: str, platform: str | None) -> str:
    """Have the daemon install the packages of a lock, which may compile them.

    Args:
        base: `host/name:tag` or `docker:NAME`.
        lock: pylock.toml.
        python: The Python in it.
        platform: See `BuildSpec`.

    Returns:
        The image, as `docker:<id>`.

    Raises:
        ImageError: There is no daemon, or the build fails.
    """
    pip = f"{ENVIRONMENT}/bin/python -m pip"
    install = f"{pip} install --no-cache-dir --no-deps --no-compile -r /tmp/requirements.txt"
    lines = [
        f"FROM {base.removeprefix('docker:')}",
        f"ENV VIRTUAL_ENV={ENVIRONMENT} PATH={ENVIRONMENT}/bin:$PATH",
        "COPY requirements.txt /tmp/requirements.txt",
        f"RUN {python} -m venv {ENVIRONMENT} && {install} && rm /tmp/requirements.txt",
        "",
    ]
    entries = [
        Entry(path="Dockerfile", mode=0o644, content="\n".join(lines).encode()),
        Entry(path="requirements.txt", mode=0o644, content=_requirements(lock).encode()),
    ]
    events.step(f"Installing the packages on {base} by the docker daemon")
    return _build(entries, dockerfile="Dockerfile", arguments={}, platform=platform)


def _requirements(lock: bytes) -> str:
    """A lock as pip of any age reads it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    table: dict[str, Any] = tomllib.loads(lock.decode("utf-8", "surrogateescape"))
    lines = []
    for package in table.get("packages", ()):
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist"), package.get("archive")])]
        hashes = sorted({f"--hash=sha256:{each['hashes']['sha256']}" for each in files if each.get("hashes")})
        archive = package.get("archive")
        version = f"=={package['version']}" if package.get("version") and archive is None else ""
        where = f" @ {archive['url']}" if archive and archive.get("url") else version
        lines.append(" ".join((f"{package['name']}{where}", *hashes)))
    return "\n".join([*lines, ""])


def _build(
    entries: list[Entry],
    *,
    dockerfile: str,
    arguments: Mapping[str, str],
    platform: str | None,
    tag: str | None = None,
) -> str:
    context = io.BytesIO()
    write_tar(with_folders(entries, folder_mode=lambda _path: 0o755), context)
    context.seek(0)
    said: list[str] = []
    image_id: str | None = None
    with connected() as client:
        for message in client.build(
            fileobj=context,
            custom_context=True,
            dockerfile=dockerfile,
            buildargs=dict(arguments),
            platform=platform,
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            text = _ESCAPES.sub("", str(message.get("stream") or message.get("status") or ""))
            lines = [line.rstrip() for line in text.splitlines() if line.strip()]
            if lines:
                said += lines
                events.progress(lines[-1])
            if message.get("error"):
                raise ImageError(
                    f"The docker daemon cannot build the image: {message['error']}",
                    details=tuple(said[-_LAST_LINES:]),
                )
            # To its end: the image gets its name after its id is told, and only while somebody listens.
            image_id = (message.get("aux") or {}).get("ID") or image_id
    if image_id is not None:
        return f"docker:{image_id}"
    found = [match[1] for line in said if (match := re.search(r"Successfully built ([0-9a-f]+)", line))]
    if not found:
        raise ImageError("The docker daemon built no image.", details=tuple(said[-_LAST_LINES:]))
    return f"docker:{found[-1]}"
