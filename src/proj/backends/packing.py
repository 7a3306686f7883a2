"""The code on its way to a pod: packed as a tar file, in ConfigMaps, or as an artifact where it is large."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

import msgspec

from proj.images import CodeSpec
from proj.images.code import code_entries, code_folder_mode
from proj.images.tarfiles import with_folders, write_tar
from proj.kube.blueprint import ACTIVATOR, ARTIFACTS, LINKER, PREPARER
from proj.kube.inpod import script
from proj.kube.parts import MOST_BYTES, bundled
from proj.kube.piplist import listed
from proj.model import CODE_DIR

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from proj.images.tarfiles import Entry
    from proj.kube.parts import Bundle
    from proj.model import Code, Execution, RecipeRuntime

_ROOM_BYTES = 1024 * 1024
"""Of a bundle, for what goes along beside the code."""


def bundle_of(execution: Execution, recipe: RecipeRuntime | None, *, has_code: bool = False) -> Bundle | None:
    """What the pod is brought: the code as it would run, the lock of its environment, and scripts.

    Args:
        execution: What runs.
        recipe: The environment that is made in the pod, if there is one.
        has_code: Whether the image has the code.

    Returns:
        None where the pod needs nothing.

    Raises:
        ProjError: The code cannot be read, or is too large.
    """
    records = "MLFLOW_TRACKING_URI" in execution.variables
    if execution.code is None or (has_code and not records):
        return None
    files = {ARTIFACTS: script(ARTIFACTS).encode()} if records else {}
    if recipe is not None and recipe.lock is not None:
        requirements = listed(recipe.lock.decode())
        files |= {
            "requirements.txt": requirements.hashed.encode(),
            "unhashed.txt": requirements.other.encode(),
        }
    if recipe is not None and recipe.conda is not None:
        files |= {name: script(name).encode() for name in (LINKER, ACTIVATOR)}
        files["conda.txt"] = recipe.conda
    if recipe is not None and (recipe.lock is not None or recipe.conda is not None):
        files[PREPARER] = script(PREPARER).encode()
    if has_code or execution.parcel is not None:
        found = bundled(None, files)
        return found if execution.parcel is None else _fetching(found, execution)
    buffer = io.BytesIO()
    _pack(_entries(execution.code), buffer)
    return bundled(buffer.getvalue(), files)


def _fetching(bundle: Bundle, execution: Execution) -> Bundle:
    parcel = execution.parcel
    assert parcel is not None  # noqa: S101  as the caller has found
    return msgspec.structs.replace(bundle, code_digest=parcel.sha256, code_artifact=parcel.path)


def parcelled(code: Code, folder: Path) -> Path | None:
    """Pack code that is too large for ConfigMaps into a file; None: it is not.

    Raises:
        ProjError: It cannot be read.
    """
    most_bytes = MOST_BYTES - _ROOM_BYTES
    entries = _entries(code)
    if sum(entry.file.stat().st_size for entry in entries if entry.file is not None) <= most_bytes:
        return None
    path = folder / "code.tar.gz"
    with path.open("wb") as file:
        _pack(entries, file)
    return path if path.stat().st_size > most_bytes else None


def _entries(code: Code) -> list[Entry]:
    """The tree, as an image of it would have it."""
    prefix = f"{CODE_DIR[1:]}/"
    return [
        msgspec.structs.replace(entry, path=entry.path.removeprefix(prefix))
        for entry in code_entries(CodeSpec(root=code.root, project=code.subdir, outputs=code.outputs))
    ]


def _pack(entries: list[Entry], sink: IO[bytes]) -> None:
    """Write a tar file packed with gzip; the same for the same."""
    with gzip.GzipFile(filename="", fileobj=sink, mode="wb", compresslevel=6, mtime=0) as file:
        write_tar(with_folders(entries, folder_mode=code_folder_mode), file)
