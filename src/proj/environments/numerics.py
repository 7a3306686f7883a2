"""The libraries that an environment's Python does linear algebra with, found without starting it.

Two environments with the same packages can have different ones: conda's numpy takes whichever BLAS lies
beside it, and that of a distribution follows `update-alternatives`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from proj.model import NumericLibrary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CONFIG_BYTES = 64 * 1024
_BUILD = r'"(blas|lapack)":\s*\{([^{}]*)\}'
_FIELD = r'"(name|version)":\s*"([^"]*)"'
_OLD_BUILD = r"(?m)^(\w*?(?:blas|mkl|accelerate)\w*)_info\s*=\s*\{.*?'libraries':\s*\['([^']+)'"
_LIBRARY = (
    r"lib(?P<name>(?:scipy_)?openblas|mkl_rt|blis|flexiblas|accelerate|gomp|iomp5|omp|blas)[^/]*"
    r"\.(?:so|dylib)[\d.]*$"
)
_BUNDLES = ("numpy.libs", "scipy.libs", "scikit_learn.libs", "torch.libs", "torch/lib")
"""Where wheels keep the shared objects that they bring."""


def numeric_libraries(sites: Iterable[Path]) -> tuple[NumericLibrary, ...]:
    """What numpy says that it was built with, and the BLAS and OpenMP libraries that lie with the packages.

    Args:
        sites: Folders of packages, the first one first.

    Returns:
        By name; empty where there is no numpy.
    """
    found: dict[str, NumericLibrary] = {}
    for site in sites:
        if not os.path.isdir(f"{site}/numpy"):  # noqa: PTH112  no Path per folder, on each run
            continue
        for library in (*_declared(site), *_beside(site)):
            found.setdefault(f"{library.name} {library.file or ''}", library)
    return tuple(found[key] for key in sorted(found))


def _declared(site: Path) -> Iterator[NumericLibrary]:
    """`numpy/__config__.py`: a dictionary since numpy 1.26, a module of names before."""
    try:
        with (site / "numpy" / "__config__.py").open(encoding="utf-8", errors="replace") as file:
            text = file.read(_CONFIG_BYTES)
    except OSError:
        return
    builds = re.findall(_BUILD, text)
    for kind, body in builds:
        fields = dict(re.findall(_FIELD, body))
        if fields.get("name"):
            told = f"{fields['name']} {fields.get('version', '')}".strip()
            yield NumericLibrary(name=f"numpy {kind}", version=told)
    if builds:
        return
    for name, library in re.findall(_OLD_BUILD, text):
        yield NumericLibrary(name=f"numpy {name}", version=library)


def _beside(site: Path) -> Iterator[NumericLibrary]:
    """Shared objects that wheels bring, and those in `lib` of a conda environment."""
    # <environment>/lib/python3.11/site-packages; a folder named in PYTHONPATH is its own
    top = site.parents[2] if site.name.endswith("-packages") and len(site.parents) > 2 else site  # noqa: PLR2004  as the path above
    folders = [site / bundle for bundle in _BUNDLES]
    if (top / "conda-meta").is_dir():
        folders.append(top / "lib")
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208  names are all that is needed
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(_LIBRARY, name)
            if match is not None:
                where = folder.relative_to(top).as_posix()
                yield NumericLibrary(name=match["name"], file=f"{where}/{_real(folder / name)}")


def _real(path: Path) -> str:
    """What a link such as `libblas.so.3` leads to: that is what is loaded."""
    return Path(os.path.realpath(path)).name
