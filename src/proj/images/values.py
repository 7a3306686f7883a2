"""What is to be built, and what was built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from proj.images.bases import Base
from proj.images.documents import Descriptor
from proj.model import CODE_DIR, EntryPoint, _Value

CODE: Final = CODE_DIR
"""Where an image has the code: as MLflow's images."""
ENVIRONMENT: Final = "/mlflow/projects/env"
"""Where it has the virtual environment."""
LAUNCHER: Final = "/mlflow/projects/run"
"""Where it has the program that runs entry points."""

ACTIVATE: Final = "/mlflow/projects/activate"
"""Where it has the program that sets up a conda environment, and then runs its arguments."""

LayerKind = Literal["base", "packages", "conda", "code", "launcher"]


class CodeSpec(_Value, frozen=True):
    """The code of an image."""

    root: Path
    """Top of the tree; all of it that a run would see is in the image."""
    project: str = ""
    """The project's folder in it; empty: the top."""
    outputs: tuple[str, ...] = ()
    """Globs, relative to the project's folder: untracked files that match are left out."""


class PackagesSpec(_Value, frozen=True):
    """The packages of an image."""

    lock: bytes
    """pylock.toml (PEP 751) for the image's platform and Python; paths in it are absolute."""
    variables: Mapping[str, str | None] = {}
    """For uv: package indexes and credentials; None removes one."""
    offline: bool = False


class LauncherSpec(_Value, frozen=True):
    """What an image runs by itself."""

    entry_points: tuple[EntryPoint, ...]
    default: str = "main"
    quoting: Literal["safe", "mlflow"] = "safe"


class Layer(_Value, frozen=True):
    """A layer of an image."""

    blob: Descriptor
    diff_id: str
    """The digest of its tar file, uncompressed."""
    kind: LayerKind
    notes: tuple[str, ...] = ()
    """What is to be known of it, wherever it is used."""


class BuildSpec(_Value, frozen=True):
    """All that decides an image."""

    base: str
    """`host/name:tag`, `oci:DIR[:TAG]` or `docker:NAME`."""
    platform: str | None = None
    """`linux/amd64`; None: this machine's."""
    python: str | None = None
    """`3.11`: where the base's cannot be found out; None: it is."""
    packages: PackagesSpec | None = None
    layers: tuple[Layer, ...] = ()
    """Those that were made before; they are below the code."""
    code: CodeSpec | None = None
    launcher: LauncherSpec | None = None
    """None: the image runs what its base runs."""
    wrapper: tuple[str, ...] = ()
    """Words that the launcher is started behind."""
    variables: Mapping[str, str | None] = {}
    """None removes one of the base's."""
    labels: Mapping[str, str] = {}
    user: str | None = None
    """Who runs it; None: as in the base."""
    created_s: int = 0
    """What it says of its age, seconds since the epoch: nothing else in it knows a time."""
    compress: bool = False
    """Whether the new layers are packed with gzip; see the documentation for what that costs."""
    insecure: bool = False
    """See `Transport`."""


class BuiltImage(_Value, frozen=True):
    """An image, assembled in the cache; layers of its base may still be where they came from."""

    manifest: bytes
    manifest_digest: str
    config: bytes
    config_digest: str
    """Docker's image id."""
    layers: tuple[Layer, ...]
    platform: str
    base: str
    """The base image's name, as given."""
    base_digest: str
    python: str | None
    """Major and minor version of its Python, if it was looked for."""
    source: Base
    """Where the layers of the base are."""

    @property
    def manifest_descriptor(self) -> Descriptor:
        """The manifest, as an index names it."""
        from proj.images.documents import MANIFEST, parse_platform

        return Descriptor(
            mediaType=MANIFEST,
            digest=self.manifest_digest,
            size=len(self.manifest),
            platform=parse_platform(self.platform),
        )


class Resolved(_Value, frozen=True):
    """A base image, looked up."""

    name: str
    digest: str
    platform: str
    config_digest: str
    """Docker's image id."""
    python: str | None
    python_path: str | None
    target: str
    """The platform of its wheels, as uv names it (`--python-platform`)."""
    libc: Literal["glibc", "musl"] = "glibc"
    glibc: str | None = None
    """Its version, where that is known."""
