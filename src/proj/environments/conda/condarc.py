"""The `.condarc` files and `CONDA_*` variables of the user, merged as conda does (conda/base/context.py).

Of a list, the items of what counts most come first; of a mapping, its entries win; of all else there is one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BYTES = 1024 * 1024
_SINGLE = ("channel_alias", "offline", "ssl_verify")
_LISTS = ("channels", "default_channels", "allowlist_channels", "denylist_channels")
_OLD_NAMES = {"whitelist_channels": "allowlist_channels"}


def read_condarc() -> dict[str, object]:
    """What is set, by name; what is set to nothing is not there, an empty list is.

    Raises:
        EnvironmentFailedError: One of the files is no YAML.
    """
    from proj.environments.yamlfile import load_yaml

    merged: dict[str, object] = {}
    for file in dict.fromkeys(_files()):
        if file.is_file() and file.stat().st_size <= _MAX_BYTES:
            for key, value in load_yaml(file).items():
                _merge(merged, _OLD_NAMES.get(key, key), value)
    for key in (*_SINGLE, *_LISTS):
        text = os.environ.get(f"CONDA_{key.upper()}")
        if text:
            listed = [part.strip() for part in text.split("," if "," in text else "&")]
            _merge(merged, key, listed if key in _LISTS else text)
    return merged


def _merge(merged: dict[str, object], key: str, value: object) -> None:
    before = merged.get(key)
    if value in ("", None):
        return
    if key in _LISTS and isinstance(value, str):
        value = [value]
    if isinstance(value, list) and isinstance(before, list):
        value = [*value, *(item for item in before if item not in value)]
    elif isinstance(value, dict) and isinstance(before, dict):
        value = {**before, **value}
    merged[key] = value


def _files() -> Iterator[Path]:
    """Where conda looks (`SEARCH_PATH` in conda/base/constants.py), what counts most last."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    executable = os.environ.get("CONDA_EXE")
    roots = [os.environ.get("MAMBA_ROOT_PREFIX"), str(Path(executable).parent.parent) if executable else None]
    roots.append(os.environ.get("CONDA_ROOT"))
    folders = [Path("/etc/conda"), Path("/var/lib/conda"), *(Path(root) for root in roots if root)]
    folders += [config / "conda", home / ".conda"]
    for folder in folders:
        yield from _files_in(folder)
    yield home / ".condarc"
    if os.environ.get("CONDA_PREFIX"):
        yield from _files_in(Path(os.environ["CONDA_PREFIX"]))
    for name in ("CONDARC", "MAMBARC"):
        if os.environ.get(name):
            yield Path(os.environ[name]).expanduser()


def _files_in(folder: Path) -> Iterator[Path]:
    yield folder / ".condarc"
    yield folder / "condarc"
    yield from sorted(
        file for file in (folder / "condarc.d").glob("*") if file.suffix in (".yml", ".yaml", ".condarc")
    )
