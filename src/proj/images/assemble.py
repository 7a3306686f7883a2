"""A specification becomes an image: base, packages, code, launcher, and a configuration over them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proj import events
from proj.errors import ImageError, UsageError
from proj.images.bases import open_base
from proj.images.blobs import BlobCache, digest_of
from proj.images.code import code_entries, code_folder_mode
from proj.images.config import Changes, Step, derive
from proj.images.documents import (
    CONFIG,
    Descriptor,
    Manifest,
    encode_manifest,
    parse_platform,
)
from proj.images.interpreter import ImagePython, Inside, look_inside
from proj.images.layers import Remembered, make_layer
from proj.images.packages import install, uv_platform
from proj.images.values import CODE, ENVIRONMENT, LAUNCHER, BuiltImage, Layer, Resolved
from proj.installer import work_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.images.bases import Base
    from proj.images.values import BuildSpec

_PYTHON: Final = r"3\.\d+"
_SAID: Final = {
    "packages": f"proj build: packages of the lock in {ENVIRONMENT}",
    "conda": f"proj build: conda environment in {ENVIRONMENT}",
    "code": f"proj build: code in {CODE}",
    "launcher": f"proj build: entry points in {LAUNCHER}",
}


def build(spec: BuildSpec) -> BuiltImage:
    """Assemble an image in the cache; of its base, only what is looked into is brought there.

    Raises:
        UsageError: The specification cannot be meant.
        ImageError: The base cannot be had, or a layer not be made.
    """
    cache = BlobCache()
    cache.prune_sometimes()
    platform = parse_platform(spec.platform)
    base = open_base(spec.base, platform, cache, insecure=spec.insecure)
    inside = None
    layers: list[Layer] = [*spec.layers]
    if spec.packages is not None:
        inside = _inside(spec.python, base, cache)
        layers.append(_packages_layer(spec, base, inside, cache))
    if spec.code is not None:
        events.step("Packing the code")
        entries = code_entries(spec.code)
        layers.append(
            make_layer(entries, "code", cache, folder_mode=code_folder_mode, compress=spec.compress)
        )
    if spec.launcher is not None:
        from proj.images.launcher import launcher_entry

        entry = launcher_entry(spec.launcher)
        layers.append(make_layer([entry], "launcher", cache, compress=spec.compress))
    return _finish(spec, base, layers, inside, cache)


def resolve(
    base: str, *, platform: str | None = None, insecure: bool = False, python: str | None = None
) -> Resolved:
    """Look a base image up: its digest, its platform, its Python.

    Args:
        base: See `BuildSpec`.
        platform: See there.
        insecure: See there.
        python: See there.

    Raises:
        UsageError: The name is none.
        ImageError: There is no such image, or none for the platform.
    """
    cache = BlobCache()
    found = open_base(base, parse_platform(platform), cache, insecure=insecure)
    inside = _inside(python, found, cache)
    return Resolved(
        name=base,
        digest=found.digest,
        platform=str(found.config.platform),
        config_digest=found.manifest.config.digest,
        python=inside.python.version if inside.python else None,
        python_path=inside.python.path if inside.python else None,
        target=uv_platform(found.config.platform, inside),
        libc=inside.libc,
        glibc=inside.glibc,
    )


def _inside(python: str | None, base: Base, cache: BlobCache) -> Inside:
    if python is None:
        return look_inside(base, cache)
    if not re.fullmatch(_PYTHON, python):
        raise UsageError(f"Not a version of Python for an image: {python!r}.", hint="Write it like 3.11.")
    try:
        found = look_inside(base, cache)
    except ImageError:
        found = Inside()
    if found.python is not None and found.python.version == python:
        return found
    if found.python is not None:
        raise ImageError(
            f"{base.name} has Python {found.python.version}, and {python} is asked for.",
            hint=f"Choose another base image, such as --base-image python:{python}-slim.",
        )
    path = f"/usr/local/bin/python{python}"
    return Inside(python=ImagePython(version=python, path=path), libc=found.libc, glibc=found.glibc)


def _packages_layer(spec: BuildSpec, base: Base, inside: Inside, cache: BlobCache) -> Layer:
    assert spec.packages is not None  # noqa: S101  as `build` has found
    if inside.python is None:
        raise ImageError(
            f"{base.name} has no Python 3 on its PATH, which the packages need.",
            hint="Choose another base image, such as --base-image python:3.11-slim.",
        )
    target = uv_platform(base.config.platform, inside)
    remembered = Remembered(cache)
    made_of = [
        *("packages", digest_of(_without_comments(spec.packages.lock)), target),
        *(inside.python.version, inside.python.path, spec.compress),
    ]
    known = remembered.find(made_of)
    if known is not None:
        return known
    count = spec.packages.lock.count(b"[[packages]]")
    noun = "package" if count == 1 else "packages"
    events.step(f"Installing {count} {noun} for Python {inside.python.version} of {base.name}")
    with work_folder() as work:
        staged = install(spec.packages, inside.python, target, work)
        layer = make_layer(staged.entries(), "packages", cache, compress=spec.compress)
    return remembered.keep(made_of, layer)


def _without_comments(lock: bytes) -> bytes:
    return b"\n".join(line for line in lock.splitlines() if not line.startswith(b"#")).strip()


def _finish(
    spec: BuildSpec, base: Base, layers: list[Layer], inside: Inside | None, cache: BlobCache
) -> BuiltImage:
    config = derive(
        base.config_bytes,
        Changes(
            steps=tuple(Step(diff_id=each.diff_id, made_by=_SAID[each.kind]) for each in layers),
            created_s=spec.created_s,
            working_dir=_working_dir(spec),
            variables={**_variables(spec, base), **spec.variables},
            entrypoint=(*spec.wrapper, "/bin/sh", LAUNCHER) if spec.launcher is not None else None,
            user=spec.user,
            labels=spec.labels,
        ),
    )
    config_digest = cache.put(config)
    below = tuple(
        Layer(blob=blob, diff_id=diff_id, kind="base")
        for blob, diff_id in zip(base.manifest.layers, base.config.diff_ids, strict=True)
    )
    manifest = encode_manifest(
        Manifest(
            config=Descriptor(mediaType=CONFIG, digest=config_digest, size=len(config)),
            layers=tuple(layer.blob for layer in (*below, *layers)),
        )
    )
    return BuiltImage(
        manifest=manifest,
        manifest_digest=cache.put(manifest),
        config=config,
        config_digest=config_digest,
        layers=(*below, *layers),
        platform=str(base.config.platform),
        base=spec.base,
        base_digest=base.digest,
        python=inside.python.version if inside is not None and inside.python is not None else None,
        source=base,
    )


def _working_dir(spec: BuildSpec) -> str | None:
    if spec.code is None:
        return None
    return f"{CODE}/{spec.code.project}" if spec.code.project else CODE


def _variables(spec: BuildSpec, base: Base) -> Mapping[str, str]:
    path = ":".join((f"{ENVIRONMENT}/bin", *base.config.path))
    if spec.packages is not None:
        return {"PATH": path, "VIRTUAL_ENV": ENVIRONMENT}
    return {"PATH": path} if any(layer.kind == "conda" for layer in spec.layers) else {}
