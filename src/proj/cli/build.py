"""`proj build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec

from proj import events
from proj.cli import complete, output, wording
from proj.cli.options import as_of_option, lock_mode, lock_options, pairs, python_option
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.images import BuiltImage

_MEDIA = ("oci:", "docker-archive:")


class LayerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of an image."""

    kind: str
    """base, packages, code or launcher."""
    digest: str
    size_bytes: int


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An image for one platform."""

    platform: str
    digest: str
    """Of its manifest."""
    image_id: str
    """What docker calls it."""
    base: str
    base_digest: str
    python: str | None
    size_bytes: int
    layers: tuple[LayerInfo, ...]


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """Images that were built, and where they are."""

    digest: str
    """What they are found by: of the image, or of the index of all."""
    images: tuple[ImageInfo, ...]
    loaded: str | None = None
    """The name in the docker daemon."""
    pushed: str | None = None
    """The name in the registry, by digest."""
    written: tuple[str, ...] = ()

    def text(self) -> Iterator[output.Block]:
        """Yield each image, its layers, and where it is."""
        for image in self.images:
            python = f", Python {image.python}" if image.python else ""
            yield f"{image.digest} ({image.platform}{python}, {wording.size(image.size_bytes)})"
            base = [layer for layer in image.layers if layer.kind == "base"]
            size = wording.size(sum(layer.size_bytes for layer in base))
            yield f"  base      {image.base} ({wording.counted(len(base), 'layer')}, {size})"
            for layer in image.layers:
                if layer.kind != "base":
                    yield f"  {layer.kind:9} {layer.digest[:19]} ({wording.size(layer.size_bytes)})"
        if self.loaded is not None:
            yield f"loaded  {self.loaded}"
        if self.pushed is not None:
            yield f"pushed  {self.pushed}"
        for place in self.written:
            yield f"wrote   {place}"
        if not (self.loaded or self.pushed or self.written):
            yield "It is in the cache only; -t NAME, --push and -o say where it is to go."


@click.command()
@click.argument("uri", default=".")
@click.option(
    "-t", "--tag", metavar="NAME", help="What it is called; without --push and -o, the docker daemon gets it."
)
@click.option("--push", is_flag=True, help="Send it to the registry that NAME is of.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="oci:DIR|docker-archive:FILE",
    help="Write an OCI layout, or a file for `docker load`; may be repeated.",
)
@click.option(
    "-e",
    "--entry-point",
    metavar="NAME",
    shell_complete=complete.entry_points,
    help="What the image runs.  [default: main, or the only one]",
)
@click.option("-v", "--version", metavar="REF", help="Branch, tag or commit of a git repository.")
@click.option(
    "--base-image",
    metavar="IMAGE",
    help="What it is made on: host/name:tag, oci:DIR, or docker:NAME of the daemon.  [default: the project's "
    "docker_env, else python:<X.Y>-slim; of conda packages debian:12-slim]",
)
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH[,…]",
    help="Such as linux/amd64,linux/arm64.  [default: this machine's]",
)
@click.option(
    "--builder",
    type=click.Choice(["proj", "daemon"]),
    default="proj",
    show_default=True,
    help="daemon lets `docker build` make what needs it: the project's Dockerfile, packages without wheels.",
)
@click.option(
    "--env-manager", metavar="NAME", help="local leaves the packages out; uv takes those of conda from PyPI."
)
@click.option("--drop-missing", is_flag=True, help="With uv, leave out conda packages that PyPI has not.")
@python_option
@as_of_option
@lock_options
@click.option("--offline", is_flag=True, help="Resolve and install from cached packages only.")
@click.option(
    "--user", metavar="UID[:GID]", help="Who runs it in the container.  [default: as the base image]"
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable in it; may be repeated."
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@click.option(
    "--compress", is_flag=True, help="Pack the new layers with gzip; smaller, but see the documentation."
)
@click.option(
    "--insecure", is_flag=True, help="Ask registries without TLS, or whose certificate nobody vouches for."
)
@click.option("--require-clean", is_flag=True, help="Fail if the code differs from its commit.")
@output.json_option
def command(
    uri: str,
    tag: str | None,
    push: bool,
    outputs: tuple[str, ...],
    platforms: str | None,
    upgrade: bool,
    locked: bool,
    frozen: bool,
    variables: tuple[str, ...],
    labels: tuple[str, ...],
    **options: object,
) -> BuildResult:
    """Make a container image of the project at URI, without a docker daemon.

    The same commit, lock and base image give the same bytes, on any machine.
    """
    from proj import building

    wanted = tuple(dict.fromkeys(filter(None, (platforms or "").split(","))))
    _check(tag, outputs, wanted, push=push)
    request = building.BuildRequest(
        uri=uri,
        platforms=wanted,
        lock_mode=lock_mode(upgrade=upgrade, locked=locked, frozen=frozen),
        variables=dict(pairs(variables, "--env")),
        labels=dict(pairs(labels, "--label")),
        **cast("dict[str, Any]", options),
    )
    watcher = output.Watcher(quiet=output.as_json())
    with watcher, events.listening(watcher):
        images = building.build(request)
        return _hand_on(images, tag, outputs, push=push, insecure=request.insecure)


def _hand_on(
    images: tuple[BuiltImage, ...], tag: str | None, outputs: tuple[str, ...], *, push: bool, insecure: bool
) -> BuildResult:
    from proj import images as library
    from proj.images.outputs import digest_of_all

    for place in outputs:
        kind, _, path = place.partition(":")
        if kind == "oci":
            library.write_layout(images, Path(path).expanduser(), tag)
        else:
            library.write_archive(images[0], Path(path).expanduser(), tag or "")
    pushed = library.push(images, tag or "", insecure=insecure) if push else None
    loaded = None
    if tag is not None and not push and not outputs:
        library.load(images[0], tag)
        loaded = tag
    return BuildResult(
        digest=digest_of_all(images),
        images=tuple(_info(image) for image in images),
        loaded=loaded,
        pushed=pushed,
        written=outputs,
    )


def _check(tag: str | None, outputs: tuple[str, ...], platforms: tuple[str, ...], *, push: bool) -> None:
    """Refuse at once what would fail at the end.

    Raises:
        UsageError: The options do not go together.
    """
    from proj.images.reference import parse_reference

    if tag is not None:
        parse_reference(tag)
    if push and tag is None:
        raise UsageError(
            "--push needs a name to push to.", hint="Name it: -t registry.example.org/team/name:tag"
        )
    for place in outputs:
        if not place.startswith(_MEDIA) or not place.partition(":")[2]:
            raise UsageError(f"Not an output: {place!r}.", hint="Write -o oci:DIR or -o docker-archive:FILE.")
        if place.startswith("docker-archive:") and tag is None:
            raise UsageError(
                "-o docker-archive:FILE needs a name for the image.", hint="Name it: -t name:tag"
            )
        if place.startswith("docker-archive:") and len(platforms) > 1:
            raise UsageError("-o docker-archive:FILE takes one platform.", hint="-o oci:DIR takes several.")
    if len(platforms) > 1 and tag is not None and not push and not outputs:
        raise UsageError("The docker daemon takes one platform.", hint="--push and -o oci:DIR take several.")


def _info(image: BuiltImage) -> ImageInfo:
    return ImageInfo(
        platform=image.platform,
        digest=image.manifest_digest,
        image_id=image.config_digest,
        base=image.base,
        base_digest=image.base_digest,
        python=image.python,
        size_bytes=sum(layer.blob.size for layer in image.layers),
        layers=tuple(
            LayerInfo(kind=layer.kind, digest=layer.blob.digest, size_bytes=layer.blob.size)
            for layer in image.layers
        ),
    )
