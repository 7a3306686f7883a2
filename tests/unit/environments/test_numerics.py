from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.facts import virtual_environment_facts
from proj.environments.numerics import numeric_libraries
from proj.model import NumericLibrary
from projkit import write

if TYPE_CHECKING:
    from pathlib import Path

NEW = """
CONFIG = _cleanup(
    {
        "Build Dependencies": {
            "blas": {
                "name": "scipy-openblas",
                "found": bool("True".lower().replace("false", "")),
                "version": "0.3.29",
                "detection method": "pkgconfig",
            },
        },
    }
)
"""
OLD = """
openblas64__info={'libraries': ['openblas64_', 'openblas64_'], 'language': 'c'}
lapack_opt_info={'libraries': ['mkl_rt'], 'language': 'c'}
"""
SITE = "lib/python3.11/site-packages"


def test_what_a_wheel_of_numpy_brings(tmp_path: Path) -> None:
    file = "libscipy_openblas64_-56d6093b.so"
    write(
        tmp_path, {f"{SITE}/numpy/__config__.py": NEW, f"{SITE}/numpy.libs/{file}": b"", f"{SITE}/x.so": b""}
    )
    expected = (
        NumericLibrary(name="numpy blas", version="scipy-openblas 0.3.29"),
        NumericLibrary(name="scipy_openblas", file=f"{SITE}/numpy.libs/{file}"),
    )
    assert numeric_libraries([tmp_path / SITE]) == expected
    assert virtual_environment_facts(tmp_path).libraries == expected


def test_what_older_versions_say(tmp_path: Path) -> None:
    write(tmp_path, {f"{SITE}/numpy/__config__.py": OLD})
    assert numeric_libraries([tmp_path / SITE]) == (
        NumericLibrary(name="numpy openblas64_", version="openblas64_"),
    )


def test_in_a_conda_environment_the_library_lies_beside(tmp_path: Path) -> None:
    write(
        tmp_path, {"conda-meta/history": b"", f"{SITE}/numpy/x.py": b"", "lib/libopenblasp-r0.3.27.so": b""}
    )
    (tmp_path / "lib/libblas.so.3").symlink_to("libopenblasp-r0.3.27.so")
    found = numeric_libraries([tmp_path / SITE])
    assert [(library.name, library.file) for library in found] == [
        ("blas", "lib/libopenblasp-r0.3.27.so"),
        ("openblas", "lib/libopenblasp-r0.3.27.so"),
    ]


def test_without_numpy_there_is_nothing_to_say(tmp_path: Path) -> None:
    write(tmp_path, {f"{SITE}/torch.libs/libgomp.so.1": b""})
    assert numeric_libraries([tmp_path / SITE, tmp_path / "none"]) == ()
    assert numeric_libraries([tmp_path]) == ()
