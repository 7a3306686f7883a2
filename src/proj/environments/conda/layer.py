"""A conda environment as a layer of an image: linked for its place there, the `pip:` section put into it.

What a linked environment tells of this machine, such as where packages were unpacked, is left out or made
anew, so that the same lock gives the same bytes everywhere.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proj import events
from proj.environments.conda.activation import package_variables
from proj.environments.conda.linking import link
from proj.environments.conda.pip import interpreter_of
from proj.environments.conda.scripts import activation_scripts, script_lines
from proj.environments.elsewhere import packages_spec
from proj.environments.pythonspec import show
from proj.environments.recorded import one_at_a_time
from proj.environments.requirements import requirement_name
from proj.errors import EnvironmentFailedError, ImageError
from proj.images.blobs import BlobCache
from proj.images.interpreter import ImagePython
from proj.images.layers import Remembered, make_layer
from proj.images.packages import install
from proj.images.tarfiles import EXECUTABLE, Entry
from proj.images.values import ACTIVATE, ENVIRONMENT
from proj.installer import work_folder

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.target import Target
    from proj.images import Layer
    from proj.model import EnvironmentRequest

    Entries = dict[str, Entry]

_FORMAT: Final = 3
"""Of the bytes of layers: another number where they are made in another way."""
_ROOT: Final = f"{ENVIRONMENT[1:]}/"
_POST_LINK: Final = re.compile(r"bin/\.(?P<name>.+)-post-link\.sh")
_CACHED: Final = re.compile(r"(?P<folder>(?:.*/)?)__pycache__/(?P<name>[^/]+?)\.[^./]+(?:\.opt-\d)?\.pyc")
_NAMED_BY: Final = ("name", "version", "build", "build_number", "subdir")
_IDENTITY: Final = ("name", "version", "build", "build_number", "depends", "subdir")
_EXTERNAL: Final = re.compile(r"lib/python3[^/]*/EXTERNALLY-MANAGED")


def conda_layer(
    lock: CondaLock,
    project: CondaProject,
    request: EnvironmentRequest,
    target: Target,
    *,
    compress: bool = False,
) -> Layer:
    """The environment of a lock as a layer; one that was made before is taken from the cache.

    Args:
        lock: What is in it.
        project: Whose channels and indexes are asked.
        request: What is asked for.
        target: The image.
        compress: Whether it is packed with gzip.

    Raises:
        EnvironmentFailedError: A package cannot be had, or is not the one that is locked.
        ImageError: A package of the `pip:` section has no wheel that fits.
    """
    from proj.environments.python import local_parts

    made_of = [
        "conda", _FORMAT, lock.digest, target.wheels, compress, *local_parts(lock.pip, request.project_dir)
    ]  # fmt: skip
    remembered = Remembered(BlobCache())
    with one_at_a_time("conda"):
        known = remembered.find(made_of)
        if known is not None:
            return known
        noun = "package" if lock.count == 1 else "packages"
        events.step(f"Installing {lock.count} {noun} of {project.origin} for {lock.platform} into a layer")
        with work_folder() as work:
            prefix = work / "conda"
            link(lock, project, prefix, request, target_prefix=ENVIRONMENT)
            entries = _linked(prefix)
            if lock.pip_lock.count:
                _add_pip(entries, prefix, lock, project, request, target, work)
            entries[ACTIVATE[1:]] = Entry(path=ACTIVATE[1:], mode=0o755, content=activation(prefix).encode())
            layer = make_layer(entries.values(), "conda", BlobCache(), compress=compress)
            notes = _notes(prefix)
        return remembered.keep(made_of, _with_notes(layer, notes))


def _with_notes(layer: Layer, notes: tuple[str, ...]) -> Layer:
    import msgspec

    return msgspec.structs.replace(layer, notes=notes)


def activation(prefix: Path, place: str = ENVIRONMENT) -> str:
    """A program that does what activating an environment does beyond its variables, and runs its arguments.

    Args:
        prefix: The environment.
        place: Where it will be.
    """
    lines = [
        "# Sets up the conda environment, then runs its arguments.",
        '[ -n "${BASH_VERSION-}" ] || ! command -v bash >/dev/null 2>&1 || exec bash "$0" "$@"',
    ]
    lines += [
        f'[ -n "${{{name}+x}}" ] || export {name}={shlex.quote(value)}'
        for name, value in package_variables(prefix).items()
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    ]
    scripts = activation_scripts(prefix)
    if scripts:
        lines += script_lines(place, scripts)
    return "\n".join([*lines, 'exec "$@"', ""])


# --- what conda brings --------------------------------------------------------------------------------


def _linked(prefix: Path) -> Entries:
    """The files of a linked environment."""
    files = _files(prefix)
    kept = {path: place for path, place in files.items() if not _is_stale(path, files)}
    entries: Entries = {}
    for path, place in kept.items():
        if path.startswith("conda-meta/"):
            continue
        inside = _ROOT + path
        if place.is_symlink():
            link_text = os.readlink(place)  # noqa: PTH115  as it is written
            entries[inside] = Entry(path=inside, mode=0o777, link=_moved(link_text, prefix))
        else:
            mode = 0o644 | (EXECUTABLE if place.stat().st_mode & 0o100 else 0)
            entries[inside] = Entry(path=inside, mode=mode, file=place)
    for path in sorted(path for path in kept if re.fullmatch(r"conda-meta/[^/]+\.json", path)):
        entries[_ROOT + path] = Entry(path=_ROOT + path, mode=0o644, content=_record(kept[path], kept))
    history = f"{_ROOT}conda-meta/history"  # by which conda knows a folder as an environment
    entries[history] = Entry(path=history, mode=0o644, content=b"")
    return entries


def _files(prefix: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(prefix):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            place = Path(folder, name)
            found[place.relative_to(prefix).as_posix()] = place
    return found


def _is_stale(path: str, files: dict[str, Path]) -> bool:
    """Whether a file is compiled from a source that is there too, whose time is another in the image."""
    match = _CACHED.fullmatch(path)
    return match is not None and f"{match['folder']}{match['name']}.py" in files


def _moved(link_text: str, prefix: Path) -> str:
    """The target of a link, in the image if it is one into the environment."""
    below = link_text.removeprefix(f"{prefix}/")
    return f"{ENVIRONMENT}/{below}" if below != link_text else link_text


def _record(place: Path, kept: dict[str, Path]) -> bytes:
    """Conda's record of a package, of what the package itself says: a channel may say it in other words."""
    record: dict[str, Any] = json.loads(place.read_bytes())
    own = _own_index(record) or {key: record.get(key) for key in _IDENTITY}
    paths = [each for each in record.get("paths_data", {}).get("paths", []) if each.get("_path") in kept]
    found = {
        **own,
        **{key: record[key] for key in ("url", "fn", "sha256", "md5", "channel") if record.get(key)},
        "files": sorted(path for path in record.get("files", []) if path in kept),
        "paths_data": {"paths": sorted(paths, key=lambda each: str(each["_path"])), "paths_version": 1},
    }
    return json.dumps(found, indent=1, sort_keys=True).encode() + b"\n"


def _own_index(record: dict[str, Any]) -> dict[str, Any]:
    """What a linked package says of itself; empty where that is not found.

    The folder may be that of another channel's package of the same name meanwhile.
    """
    folder = record.get("extracted_package_dir")
    if not isinstance(folder, str):
        return {}
    try:
        content = json.loads((Path(folder) / "info" / "index.json").read_bytes())
    except (OSError, ValueError):
        return {}
    same = isinstance(content, dict) and all(content.get(key) == record.get(key) for key in _NAMED_BY)
    return content if same else {}


def _notes(prefix: Path) -> tuple[str, ...]:
    names = [match["name"] for path in sorted(_files(prefix)) if (match := _POST_LINK.fullmatch(path))]
    if not names:
        return ()
    return (f"Nothing runs while an image is made: the post-link scripts of {', '.join(names)} did not.",)


# --- what the `pip:` section brings -------------------------------------------------------------------


def _add_pip(
    entries: Entries,
    prefix: Path,
    lock: CondaLock,
    project: CondaProject,
    request: EnvironmentRequest,
    target: Target,
    work: Path,
) -> None:
    """Put the packages of the `pip:` section over those of conda."""
    found = interpreter_of(prefix)
    if found is None:
        raise EnvironmentFailedError(f"The lock of {project.origin} has pip packages and no Python.")
    python = ImagePython(version=show(found.version[:2]), path=f"{ENVIRONMENT}/bin/python")
    try:
        staged = install(packages_spec(lock.pip_lock, project.pip, request), python, target.wheels, work)
    except ImageError as error:
        if "no wheel" not in error.message:
            raise
        raise ImageError(
            error.message,
            hint=f"Choose a version that has one, or a conda package of it in {project.origin}.",
        ) from error
    added = {entry.path: entry for entry in staged.packages()}
    site = f"{_ROOT}lib/python{python.version}/site-packages"
    names = {_distribution(path) for path in added if posixpath.dirname(path.rpartition("/")[0]) == site}
    for path in _replaced(entries, site, names - {None}):
        entries.pop(path, None)
    for path in [path for path in entries if _EXTERNAL.fullmatch(path.removeprefix(_ROOT))]:
        del entries[path]
    entries.update(added)


def _distribution(path: str) -> str | None:
    """The distribution whose metadata a file belongs to."""
    match = re.search(r"/(?P<name>[^/]+?)-[^/-]+(?:-py3[^/]*)?\.(?:dist|egg)-info(?:/|$)", path)
    return requirement_name(match["name"]) if match else None


def _replaced(entries: Entries, site: str, names: set[str | None]) -> set[str]:
    """The files of those distributions of conda's that pip brings in another version."""
    gone: set[str] = set()
    for path, entry in entries.items():
        if not path.startswith(f"{site}/") or _distribution(path) not in names:
            continue
        gone.add(path)
        if path.endswith(("/RECORD", "/installed-files.txt")) and entry.file is not None:
            base = posixpath.dirname(path) if path.endswith(".txt") else site
            for line in entry.file.read_text("utf-8", "replace").splitlines():
                gone.add(posixpath.normpath(posixpath.join(base, line.split(",")[0].strip('"'))))
    return gone
