"""The layer of a project's code: the tree as it would run, but what `.dockerignore` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proj import events, paths
from proj.errors import ImageError
from proj.images.dockerignore import NAME, IgnoreRules
from proj.images.tarfiles import EXECUTABLE, Entry
from proj.images.values import CODE
from proj.source.listing import list_tree

if TYPE_CHECKING:
    from pathlib import Path

    from proj.images.values import CodeSpec
    from proj.model import LeftOut
    from proj.source.listing import TreeFile

_ABOVE: Final = ("mlflow", "mlflow/projects")
FILE_MODE: Final = 0o666
FOLDER_MODE: Final = 0o777
"""Whoever runs the container may write beside the code, as scripts do; who that will be is not known."""
_MOST_NAMED: Final = 5


def code_entries(spec: CodeSpec) -> list[Entry]:
    """What the layer has.

    Args:
        spec: Which tree.

    Raises:
        ImageError: A `.dockerignore` cannot be read.
        SourceError: See `list_tree`.
    """
    root, project = spec.root, spec.project
    listing = list_tree(root, store=paths.cache() / "listings", project=project)
    _tell(listing.left_out)
    outputs = {path for pattern in spec.outputs for path in (root / project).glob(pattern)}
    kept = [file for file in listing.files if file.tracked or root / file.path not in outputs]
    for folder in dict.fromkeys(("", project)):
        kept = _without_ignored(kept, root, folder)
    found = [_entry(root, file) for file in kept]
    if not any(entry.path.startswith(f"{CODE[1:]}/{project}".rstrip("/")) for entry in found):
        raise ImageError(
            f"There is no file in {root / project} that an image could have.",
            hint="Look into .gitignore, .projignore and .dockerignore.",
        )
    return found


def code_folder_mode(path: str) -> int:
    """Permissions of a folder on the way to the code, or in it."""
    return 0o755 if path in _ABOVE else FOLDER_MODE


def _entry(root: Path, file: TreeFile) -> Entry:
    path = f"{CODE[1:]}/{file.path}"
    if file.link is not None:
        return Entry(path=path, mode=0o777, link=file.link)
    return Entry(path=path, mode=FILE_MODE | (EXECUTABLE if file.executable else 0), file=root / file.path)


def _without_ignored(files: list[TreeFile], root: Path, folder: str) -> list[TreeFile]:
    place = root / folder / NAME
    try:
        text = place.read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return files
    except OSError as error:
        raise ImageError(f"Cannot read {place}: {error.strerror}.") from error
    rules = IgnoreRules(text, str(place))
    prefix = f"{folder}/" if folder else ""
    return [
        file
        for file in files
        if not file.path.startswith(prefix) or not rules.ignores(file.path[len(prefix) :])
    ]


def _tell(left_out: tuple[LeftOut, ...]) -> None:
    secret = [left.path for left in left_out if left.reason == "secret"]
    if secret:
        what = "it looks like a secret" if len(secret) == 1 else "they look like secrets"
        more = f" and {len(secret) - _MOST_NAMED} more" if len(secret) > _MOST_NAMED else ""
        events.warning(f"Not in the image, since {what}: {', '.join(secret[:_MOST_NAMED])}{more}.")
    for left in left_out:
        if left.reason in ("unreadable", "special"):
            events.warning(f"{left.path} is not in the image: {left.detail}.")
