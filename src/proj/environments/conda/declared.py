"""What a project asks of conda, ready to be solved: specs, channels by URL, the `pip:` section."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.channels import (
    Access,
    Settings,
    mirrors_of,
    read_settings,
    refused_by,
    resolve_channel,
)
from proj.environments.conda.explicit import SUFFIXES
from proj.environments.conda.messages import Network, Wanted
from proj.environments.conda.platforms import SYSTEMS, foreign_to
from proj.environments.conda.service import network
from proj.environments.conda.specs import CondaSpec, parse_spec
from proj.environments.conda.urls import bare, is_literal, secret_urls
from proj.environments.inputs import PythonInput, read_input
from proj.environments.requirements import read_text
from proj.environments.uv import is_offline
from proj.environments.variables import warning_of_secret
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.environments.condafile import CondaFile
    from proj.model import EnvironmentRequest

NO_DEFAULTS = "nodefaults"
_FILES_OF_PIP = (".whl", ".tar.gz", ".zip")


class CondaProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project's conda environment as it is declared."""

    origin: str
    """The file it comes from, relative to the project's folder."""
    path: Path
    specs: tuple[CondaSpec, ...] = ()
    """What is asked for on this platform."""
    channels: tuple[Access, ...] = ()
    """The one that counts most first."""
    more_channels: tuple[Access, ...] = ()
    """Those that conda adds by itself: asked only for what the others have not."""
    spec_channels: tuple[tuple[str, str], ...] = ()
    """Channel as written in front of `::` -> its URL."""
    settings: Settings = Settings()
    pip: PythonInput
    """Its Python side: the `pip:` section; nothing else of it counts."""
    variables: tuple[tuple[str, str], ...] = ()
    lock_file: Path | None = None
    """The lock that the project ships for conda packages, or is declared by."""
    lock_channels: tuple[Access, ...] = ()
    """Those channels that it has packages from by URLs with secrets."""
    warnings: tuple[str, ...] = ()

    @property
    def mirrors(self) -> dict[str, tuple[str, ...]]:
        """Channel's URL -> URLs to ask instead, for those with secrets or mirrors."""
        return mirrors_of(self._accesses, self.settings, self.path.parent)

    @property
    def _accesses(self) -> tuple[Access, ...]:
        return (*self.channels, *self.more_channels, *self.lock_channels)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen of the channels' URLs."""
        urls = [url for several in self.mirrors.values() for url in several]
        urls += [url for _, url in self.settings.proxies]
        shown = [Access(url="", secret_url=url) for url in urls]
        return tuple(secret for access in (*self._accesses, *shown) for secret in access.secrets)

    @property
    def has_pip(self) -> bool:
        """Whether there is anything for pip."""
        return bool(self.pip.requirements)

    def digest(self, project_dir: Path) -> str:
        """Hexadecimal SHA-256 of all that a solution depends on, the same in every checkout."""
        urls = dict(self.spec_channels)
        parts = (
            "conda input 1", [spec.text(channel=urls.get(spec.channel, "")) for spec in self.specs],
            [access.url for access in self.channels], [access.url for access in self.more_channels],
            self.pip.digest(project_dir),
        )  # fmt: skip
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def wanted(self) -> tuple[Wanted, ...]:
        """The specs as the solver takes them."""
        urls = dict(self.spec_channels)
        return tuple(
            Wanted(
                name=spec.name, spec=spec.text(channel=urls.get(spec.channel, "")),
                without_build=spec.text(channel=urls.get(spec.channel, ""), build=not spec.exact),
                exact_version=_exact_version(spec), channel=urls.get(spec.channel, ""),
            )
            for spec in self.specs
        )  # fmt: skip

    def network(self, request: EnvironmentRequest) -> Network:
        """How its channels are spoken to."""
        return network(
            self.mirrors,
            offline=is_offline(request.offline) or self.settings.offline,
            verify_tls=self.settings.verify_tls,
        )


def read_project(request: EnvironmentRequest, platform: str) -> CondaProject:
    """Read what the project declares, for a platform.

    Raises:
        EnvironmentFailedError: It declares nothing of conda's, or a file is not what it should be.
    """
    found = read_input(request, platform)
    if found is None or found.kind != "conda":
        raise EnvironmentFailedError(
            "The project declares no conda environment.",
            hint="Add a conda.yaml, or leave out --env-manager conda.",
        )
    from proj.environments.conda.shipped import shipped_lock

    settings = read_settings()
    base = found.path.parent
    warnings = list(found.warnings)
    file = found.conda
    specs = [] if file is None else _on_platform(file.specs, platform, warnings, found.origin)
    requirements = bool(found.requirements)
    specs = _with_python(specs, request.python, needed=requirements)
    if requirements and not any(spec.name == "pip" for spec in specs):
        specs.append(parse_spec("pip"))  # as conda does for a file with a `pip:` section
    channels, more, spec_channels = _channels(file, specs, settings, found)
    known = {access.url for access in channels}
    # A list that is the declaration itself has one platform; beside a file there may be several locks.
    lock_file = found.conda_lock if file is None else shipped_lock(request.project_dir, platform)
    secret = secret_urls(read_text(lock_file)) if lock_file is not None else []
    if lock_file is not None:
        warnings += (warning_of_secret(lock_file.name, url) for url in literal_secrets(secret))
    return CondaProject(
        origin=found.origin, path=found.path, specs=tuple(specs), channels=tuple(dict.fromkeys(channels)),
        more_channels=tuple(access for access in dict.fromkeys(more) if access.url not in known),
        spec_channels=tuple((name, accesses[0].url) for name, accesses in spec_channels.items()),
        settings=settings, pip=msgspec.structs.replace(found, build=()),
        variables=file.variables if file else (), warnings=tuple(dict.fromkeys(warnings)),
        lock_file=lock_file,
        lock_channels=_secret_channels(secret, settings, base),
    )  # fmt: skip


def _channels(
    file: CondaFile | None, specs: list[CondaSpec], settings: Settings, found: PythonInput
) -> tuple[list[Access], list[Access], dict[str, tuple[Access, ...]]]:
    """The channels, those that are asked for what they have not, and those that specs name.

    Raises:
        EnvironmentFailedError: The user's settings forbid one of them.
    """
    base = found.path.parent
    named = [name for name in (file.channels if file else ()) if name != NO_DEFAULTS]
    channels = [access for name in named for access in resolve_channel(name, settings, base)]
    of_specs = {spec.channel: resolve_channel(spec.channel, settings, base) for spec in specs if spec.channel}
    asked = [*channels, *(access for several in of_specs.values() for access in several)]
    more = asked[len(channels) :]
    if file is None or NO_DEFAULTS not in file.channels:
        added = [access for name in settings.channels for access in resolve_channel(name, settings, base)]
        asked += added if not asked else []
        more += [access for access in added if not refused_by(access, settings, base)]
    for access in asked:
        setting = refused_by(access, settings, base)
        if setting:
            raise EnvironmentFailedError(
                f"{found.origin}: the channel {access.url} must not be used, by `{setting}` of .condarc.",
                hint="Name a channel that may be, or ask who has set this.",
            )
    return (channels, more, of_specs) if channels else (more, [], of_specs)


def literal_secrets(urls: Iterable[str]) -> tuple[str, ...]:
    """The channels, without secrets, of those URLs of a lock that have a secret itself, and no variable."""
    return tuple(dict.fromkeys(map(_channel_of, filter(is_literal, urls))))


def _channel_of(url: str) -> str:
    """The channel of a package, or the host of a file of pip's, without secrets; else a channel's URL."""
    clean = bare(url).partition("#")[0].rstrip("/")
    if clean.endswith(SUFFIXES):
        return clean.rpartition("/")[0].rpartition("/")[0]
    return "/".join(clean.split("/")[:3]) if clean.endswith(_FILES_OF_PIP) else clean


def _secret_channels(secret: Iterable[str], settings: Settings, base: Path) -> tuple[Access, ...]:
    """The channels that a lock names with secrets, which are taken out wherever it is read."""
    urls = (url for url in secret if url.partition("#")[0].endswith(SUFFIXES))
    channels = dict.fromkeys(url.rpartition("/")[0].rpartition("/")[0] for url in urls)
    return tuple(access for url in channels for access in resolve_channel(url, settings, base))


def _on_platform(
    specs: tuple[CondaSpec, ...], platform: str, warnings: list[str], origin: str
) -> list[CondaSpec]:
    kept = []
    for spec in specs:
        system = foreign_to(spec.name, platform)
        if system is None and spec.subdir not in ("", "noarch", platform):
            system = spec.subdir.partition("-")[0]
        if system is None:
            kept.append(spec)
        else:
            name = SYSTEMS.get(system, system)
            warnings.append(f"{origin}: {spec.written} exists for {name} only and was left out.")
    return kept


def _with_python(specs: list[CondaSpec], version: str | None, *, needed: bool) -> list[CondaSpec]:
    """The specs with the Python that the user asks for, or any where the `pip:` section needs one."""
    named = any(spec.name == "python" for spec in specs)
    if version is not None:
        others = [spec for spec in specs if spec.name != "python"]
        bare = version.strip()
        return [parse_spec(f"python={bare}" if bare[:1].isdigit() else f"python {bare}"), *others]
    return specs if named or not needed else [parse_spec("python"), *specs]


def _exact_version(spec: CondaSpec) -> str:
    """The one version that a spec asks for; also `=3.7.11`, whose prefix is a whole version of Python."""
    version = spec.version
    if version.startswith("==") and "*" not in version:
        return version[2:]
    bare = version.removesuffix(".*")
    return bare if spec.name == "python" and bare.count(".") == 2 and bare.replace(".", "").isdigit() else ""  # noqa: PLR2004  x.y.z
