from __future__ import annotations

import pytest
import rattler

from proj.environments.conda.specs import parse_spec
from proj.environments.condafile import as_pip, as_python
from proj.errors import EnvironmentFailedError

SPECS = (
    "python=3.8", "python = 3.8", "python =3.8", "numpy>=1.2,<2", "numpy >=1.2, <2", "pkg=1.2=build_0",
    "pkg==1.2=build_0", "pkg 1.2 build_0", "pkg 1.2", "conda-forge::numpy", "conda-forge/linux-64::numpy=1.2",
    "numpy[version='>=1.2',build='py*']", 'numpy[version=">=1.2", build=py38_0]', "blas[build=openblas]",
    "python=3.7.11=h6244533_0", "numpy>=1.2,<2|>3", "numpy ==1.2.*", "numpy=1.2.*", "NumPy", "numpy 1.2*",
    "https://host/channel::pkg", "file:///tmp/channel::pkg=1", "numpy!=1.2", "numpy~=1.2", "blas=*=openblas",
    "python 3.8 # a comment", "python>3.6.*", "python<=3.8.*", "tensorflow-gpu=2.*=gpu*",
    "_libgcc_mutex=0.1=main", "numpy=1.2.3,<2", "python=2.7|3.6.*", "numpy >=1.2,<2 py38*",
    "x264==1!152.20180717", "jpeg=9b=h024ee3a_2", "pkg=1.2|1.3=py_0", "pkg 1.2|1.3 py_0", "pkg==1.2|1.3=py_0",
    "pkg>=1,<2|>3", "pkg=1.2|=1.3", "numpy>=1.2, < 2 py38*",
)  # fmt: skip


@pytest.mark.parametrize("text", SPECS)
def test_a_spec_means_what_it_means_to_the_solver(text: str) -> None:
    spec = parse_spec(text)
    assert str(rattler.MatchSpec(spec.text(channel=spec.channel))) == str(rattler.MatchSpec(text))


@pytest.mark.parametrize(
    ("text", "python", "pip"),
    [
        ("a", "", ""),
        ("a=3.8", "=3.8", "==3.8.*"),
        ("a=3.8.5", "=3.8.5", "==3.8.5.*"),
        ("a=3.8.5=h1", "=3.8.5", "==3.8.5"),
        ("a==3.8", "=3.8", "==3.8"),
        ("a 3.8.*", "=3.8", "==3.8.*"),
        ("a>=3.6,<3.9", ">=3.6,<3.9", ">=3.6,<3.9"),
        ("a>=3.6.*", ">=3.6.*", ">=3.6"),
        ("a!=1.5.*", "!=1.5.*", "!=1.5.*"),
        ("a~=1.5", "~=1.5", "~=1.5"),
        ("a=2019a", "2019a.*", "==2019a"),
        ("a=1.2|1.4", "1.2.*|1.4", ""),
        ("a=*=mkl", "", ""),
    ],
)
def test_versions_as_others_write_them(text: str, python: str, pip: str) -> None:
    spec = parse_spec(text)
    assert (as_python(spec), as_pip(spec.version)) == (python, pip)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("numpy >=1.2 <2", "between its bounds: numpy >=1.2,<2"),
        ("numpy>=1.2 <2", "between its bounds: numpy>=1.2,<2"),
        ("numpy >= 1.2 < 2  # why", "between its bounds: numpy >=1.2,<2"),
        ("numpy >1.2 !=1.3 ~=1.4", "between its bounds: numpy >1.2,!=1.3,~=1.4"),
        ("numpy >=1.2 <2 py38*", "between its bounds: numpy >=1.2,<2 py38*"),
        ("numpy=", "No version stands behind its operator"),
        ("numpy >=1.2,", "No version stands behind its operator"),
        ("numpy<2; python_version>'3'", "write it below `pip:`"),
    ],
)
def test_what_conda_would_refuse_too(text: str, hint: str) -> None:
    """A bound must not pass for a build, and be lost."""
    with pytest.raises(EnvironmentFailedError, match="no package that conda could look for") as caught:
        parse_spec(text)
    assert hint in (caught.value.hint or "")


def test_a_build_behind_bounds() -> None:
    """conda takes `=` in front of it."""
    assert parse_spec("numpy >=1.0 , < 2.0 =py34_0").text() == 'numpy[version=">=1.0,<2.0",build="py34_0"]'


def test_a_channel_with_a_name_like_a_platforms() -> None:
    spec = parse_spec("https://host/linux-tools::x")
    assert (spec.channel, spec.subdir) == ("https://host/linux-tools", "")


def test_one_of_several_builds() -> None:
    spec = parse_spec("pkg=1.8=py27_0|py28_*")
    assert not spec.exact
    matches = {
        build: rattler.MatchSpec(spec.text()).matches(
            rattler.PackageRecord("pkg", "1.8", rattler.BuildString(build), 0, "noarch")
        )
        for build in ("py27_0", "py28_3", "py29_0", "py27_01")
    }
    assert matches == {"py27_0": True, "py28_3": True, "py29_0": False, "py27_01": False}


def test_a_version_that_ends_with_a_dot() -> None:
    assert parse_spec("x=1.").version == "1.*"
    assert parse_spec("x==1.=py_0").version == "==1"


@pytest.mark.parametrize("digest", ["", "#" + "a" * 32, "#" + "b" * 64])
def test_a_package_by_its_url(digest: str) -> None:
    spec = parse_spec(f"https://h/t/tk-5ecret/c/linux-64/my-tool-1.0-py_0.conda{digest}")
    assert (spec.name, spec.version, spec.build, spec.subdir) == ("my-tool", "==1.0", "py_0", "linux-64")
    assert spec.channel == "https://h/t/tk-5ecret/c"
    assert "5ecret" not in spec.written
    kind = "sha256" if len(digest) > 33 else "md5"
    assert spec.fields == (((kind, digest[1:]),) if digest else ())
    assert str(rattler.MatchSpec(spec.text())).startswith("my-tool ")
    with pytest.raises(EnvironmentFailedError, match="no package that conda could look for"):
        parse_spec("https://h/my-tool.conda")


@pytest.mark.parametrize(
    "text", ["x>=1.0<2", "=1.2", "", "numpy >=1.2 build extra words", "nu{mpy", "numpy (>1"]
)
def test_what_is_no_spec(text: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="no package that conda could look for"):
        parse_spec(text)


def test_the_build_can_be_left_out() -> None:
    spec = parse_spec("conda-forge::python=3.7.11=h6244533_0")
    assert spec.exact
    assert spec.text(build=False) == 'python[version="==3.7.11"]'
    assert not parse_spec("numpy=1.2=py37*").exact
