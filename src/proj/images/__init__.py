"""OCI images, assembled without a docker daemon: the same input gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.images.values import (
    ACTIVATE,
    CODE,
    ENVIRONMENT,
    LAUNCHER,
    BuildSpec,
    BuiltImage,
    CodeSpec,
    LauncherSpec,
    Layer,
    PackagesSpec,
    Resolved,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "ACTIVATE",
    "CODE",
    "ENVIRONMENT",
    "LAUNCHER",
    "BuildSpec",
    "BuiltImage",
    "CodeSpec",
    "LauncherSpec",
    "Layer",
    "PackagesSpec",
    "Resolved",
    "build",
    "greet",
    "is_pushed",
    "load",
    "push",
    "resolve",
    "write_archive",
    "write_layout",
]


def build(spec: BuildSpec) -> BuiltImage:
    """Assemble an image in the cache; of its base, only what is looked into is brought there.

    Raises:
        UsageError: The specification cannot be meant.
        ImageError: The base cannot be had, or a layer not be made.
        SourceError: The tree of the code cannot be listed.
    """
    from proj.images.assemble import build as assemble

    return assemble(spec)


def resolve(
    base: str, *, platform: str | None = None, insecure: bool = False, python: str | None = None
) -> Resolved:
    """Look a base image up: its digest, its platform, its Python; see `BuildSpec` for the arguments.

    Raises:
        UsageError: The name is none.
        ImageError: There is no such image, or none for the platform.
    """
    from proj.images.assemble import resolve as look_up

    return look_up(base, platform=platform, insecure=insecure, python=python)


def is_pushed(reference: str, *, insecure: bool = False) -> bool:
    """Whether a registry has an image.

    Args:
        reference: `host/name@sha256:…`
        insecure: See `BuildSpec`.

    Raises:
        UsageError: The reference is none.
        ImageError: The registry cannot be asked.
    """
    from proj.images.reference import parse_reference
    from proj.images.registry import repository

    found = parse_reference(reference)
    return repository(found, insecure=insecure).has_manifest(found.version)


def greet(reference: str) -> None:
    """See that the registry of a repository answers, and lets us look into it; nothing is sent.

    Raises:
        UsageError: The reference is none.
        ImageError: It does not.
    """
    from proj.images.http import Patience, Transport
    from proj.images.reference import parse_reference
    from proj.images.registry import Repository

    found = parse_reference(reference)
    transport = Transport(found.host, patience=Patience(tries=2))
    Repository(transport, found.repository, write=True).has_manifest(f"sha256:{'0' * 64}")


def push(images: BuiltImage | Sequence[BuiltImage], reference: str, *, insecure: bool = False) -> str:
    """Send an image to a registry, or several as an index; what is there already is not sent again.

    Args:
        images: One for each platform.
        reference: `host/name:tag`.
        insecure: See `BuildSpec`.

    Returns:
        `host/name@sha256:…`

    Raises:
        UsageError: The reference is none.
        ImageError: The registry cannot be reached, or does not take it.
    """
    from proj.images.outputs import as_tuple
    from proj.images.pushing import push as send

    return send(as_tuple(images), reference, insecure=insecure)


def load(image: BuiltImage, name: str) -> str:
    """Give an image to the docker daemon, which gets the layers that it lacks.

    Args:
        image: The image.
        name: What it is called there, such as `team/model:1`.

    Returns:
        Its id there, `sha256:…`.

    Raises:
        UsageError: The name is none.
        ImageError: There is no daemon, or it does not take it.
    """
    from proj.images.outputs import load as give

    return give(image, name)


def write_layout(images: BuiltImage | Sequence[BuiltImage], folder: Path, tag: str | None = None) -> str:
    """Write an image, or several as an index, as an OCI layout; returns the digest that it is found by.

    Raises:
        ImageError: The folder cannot be written, or holds something else.
    """
    from proj.images.outputs import as_tuple
    from proj.images.outputs import write_layout as write

    return write(as_tuple(images), folder, tag)


def write_archive(image: BuiltImage, file: Path, name: str) -> None:
    """Write an image as a file that `docker load` takes.

    Raises:
        UsageError: The name is none.
        ImageError: The file cannot be written.
    """
    from proj.images.outputs import write_archive as write

    write(image, file, name)
