from __future__ import annotations

import pytest

from proj.environments.conda.names import (
    BROUGHT_ALONG,
    NOT_THERE,
    OTHER_NAMES,
    ByName,
    by_name,
    is_absent,
)
from proj.environments.conda.specs import parse_spec


def taken(*specs: str) -> ByName:
    return by_name(tuple(map(parse_spec, specs)), "linux-64")


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("numpy", "numpy"),
        ("pytorch::pytorch=1.9", "torch==1.9.*"),
        ("pytorch-gpu>=1.2,<2", "torch>=1.2,<2"),
        ("opencv=4.5.1=py38_0", "opencv-python==4.5.1"),
        ("ruamel_yaml", "ruamel-yaml"),
        ("python-graphviz", "graphviz"),
        ("librosa=0.8", "librosa==0.8.*"),
    ],
)
def test_packages_by_their_names_on_pypi(spec: str, line: str) -> None:
    assert taken(spec).lines == (line,)


@pytest.mark.parametrize(
    "name", ["graphviz", "cudatoolkit", "r-base", "libspatialindex", "ffmpeg", "gcc_linux-64"]
)
def test_what_is_something_else_on_pypi_is_never_taken_from_there(name: str) -> None:
    found = taken(f"{name}=1.0")
    assert (found.lines, found.absent) == ((), (f"{name}=1.0",))


def test_what_python_and_wheels_bring_is_left_out() -> None:
    found = taken("openssl=1.1.1=h1", "mkl", "libgcc-ng", "vc=14.2", "numpy")
    assert found.lines == ("numpy",)
    assert found.absent == ()
    assert "openssl, mkl, libgcc-ng, vc" in found.notes[-1]


def test_what_conda_brings_along() -> None:
    assert set(taken("scikit-learn=0.19.1", "numpy=1.14").lines) == {
        "scikit-learn==0.19.1.*", "numpy==1.14.*", "scipy",
    }  # fmt: skip


def test_what_pip_cannot_say_is_told() -> None:
    found = taken("numpy=1.19|1.21")
    assert found.lines == ("numpy",)
    assert "pip cannot say numpy=1.19|1.21: any version of it will do." in found.notes


def test_the_tables_do_not_contradict_each_other() -> None:
    assert not BROUGHT_ALONG & NOT_THERE
    assert not set(OTHER_NAMES) & (BROUGHT_ALONG | NOT_THERE)
    assert not any(is_absent(name) for name in OTHER_NAMES)
