from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.environments.condafile import read_conda_file
from proj.environments.inputs import DEFAULT_BUILD, PythonInput, read_input
from proj.environments.pep723 import read_script_metadata
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentDeclaration

if TYPE_CHECKING:
    from pathlib import Path

    from environment_kit import RequestMaker


@pytest.fixture
def read(project: Path, request_for: RequestMaker) -> Reader:
    def reader(name: str, content: str, **changes: object) -> PythonInput:
        (project / name).write_text(content)
        found = read_input(request_for(project, **changes))
        assert found is not None
        return found

    return reader


if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[..., PythonInput]


def test_a_version_is_text_even_without_quotes(read: Reader) -> None:
    assert read("python_env.yaml", "python: 3.10\ndependencies: [alpha]\n").python == "3.10"


def test_build_dependencies(read: Reader) -> None:
    assert read("python_env.yaml", "dependencies: [alpha]\n").build == DEFAULT_BUILD
    assert read("python_env.yaml", "build_dependencies: [pip==20, setuptools]\n").build == (
        "pip==20",
        "setuptools",
    )
    seeded = read("python_env.yaml", "build_dependencies: [pip==20]\n").build
    assert seeded == ("pip==20", "setuptools<82 ; python_version < '3.12'")
    assert read("python_env.yaml", "dependencies: ['setuptools==50']\n").build == ("pip", "wheel")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("dependencies:\n  - pip:\n    - alpha\n    - beta\n", ("alpha", "beta")),
        ("dependencies:\n  - alpha: 1.0\n", ("alpha==1.0",)),
        ("dependencies: alpha\n", ("alpha",)),
        ("dependencies: ['alpha  # why', '']\n", ("alpha",)),
        ("dependencies:\n", ()),
        ("", ()),
    ],
)
def test_slips_are_read_as_they_are_meant(read: Reader, content: str, lines: tuple[str, ...]) -> None:
    found = read("python_env.yaml", content)
    assert found.requirements.lines == lines
    assert bool(found.warnings) == ("pip:" in content or "1.0" in content)


def test_a_python_env_that_names_a_conda_file(read: Reader) -> None:
    declared = EnvironmentDeclaration(kind="python_env", file="env.yaml")
    found = read(
        "env.yaml", "channels: [x]\ndependencies: [python=3.8, pip: [alpha]]\n", declaration=declared
    )
    assert (found.kind, found.python, found.requirements.lines) == ("conda", "=3.8", ("alpha",))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("a: [\n", r"python_env\.yaml:2:1: not valid YAML"),
        ("\tb: 1\n", "not valid YAML"),
        ("- alpha\n", "holds no mapping"),
        ("x" * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("python: 3.8\ndependencies: ['-r gone.txt']\n", r"gone\.txt"),
    ],
)
def test_bad_files_are_told(read: Reader, content: str, match: str) -> None:
    with pytest.raises(EnvironmentFailedError, match=match):
        read("python_env.yaml", content)


def test_conda_specifications(tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").write_text(
        "dependencies:\n- conda-forge::python=3.8.5=h757_1\n- pip=20.2\n- setuptools>=40\n- wheel\n"
        "- numpy=1.19.2=py38h54\n- scikit-learn >=0.2, <1\n- pip:\n  - alpha==1  # pinned\n  - -r more.txt\n"
    )
    found = read_conda_file(tmp_path / "conda.yaml")
    assert found.python == "=3.8.5"
    assert found.build == ("pip==20.2.*", "setuptools>=40", "wheel")
    assert found.conda == ("numpy=1.19.2=py38h54", "scikit-learn >=0.2, <1")
    assert found.pip[1] == "-r more.txt"


def test_pyproject(read: Reader, project: Path) -> None:
    text = '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["alpha"]\n'
    found = read("pyproject.toml", text)
    assert (found.kind, found.python, found.requirements.lines) == ("pyproject", ">=3.9", ("alpha",))
    found = read("pyproject.toml", text + '[build-system]\nrequires = []\nbuild-backend = "b"\n')
    assert [(package.path, package.editable) for package in found.requirements.local] == [
        (str(project), True)
    ]
    with pytest.raises(EnvironmentFailedError, match="not valid TOML"):
        read("pyproject.toml", "[project\n")


def test_python_version_file(read: Reader, project: Path) -> None:
    (project / ".python-version").write_text("# chosen\n3.9.7\n")
    assert read("requirements.txt", "alpha\n").python == "3.9.7"


def test_the_digest_is_the_same_in_every_checkout(
    tmp_path: Path, request_for: RequestMaker, local_package: Path
) -> None:
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "deep").mkdir(parents=True)
        (folder / "package").mkdir()
        (folder / "package" / "pyproject.toml").write_bytes((local_package / "pyproject.toml").read_bytes())
        (folder / "deep" / "requirements.txt").write_text("-e ../package\nalpha\n")
        found = read_input(request_for(folder / "deep"))
        assert found is not None
        digests.add(found.digest(folder / "deep"))
    assert len(digests) == 1
    assert found is not None
    (folder / "package" / "pyproject.toml").write_text("[project]\n")
    assert found.digest(folder / "deep") not in digests


def test_script_blocks(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(
        '# /// script\r\n# requires-python = ">=3.9"\r\n# dependencies = [\r\n#   "alpha",\r\n'
        "# ]\r\n# ///\r\n"
    )
    metadata = read_script_metadata(script)
    assert metadata is not None
    assert (metadata.requires_python, metadata.dependencies) == (">=3.9", ("alpha",))
    script.write_text("# /// script\nprint('no end')\n")
    assert read_script_metadata(script) is None
    assert read_script_metadata(tmp_path / "gone.py") is None
    script.write_text("# /// script\n# a = [\n# ///\n")
    with pytest.raises(EnvironmentFailedError, match="not valid TOML"):
        read_script_metadata(script)
    script.write_text("# /// script\n# dependencies = 1\n# ///\n")
    with pytest.raises(EnvironmentFailedError, match="list of strings"):
        read_script_metadata(script)
    script.write_text("# /// script\n# a = 1\n# ///\n\n" * 2)
    with pytest.raises(EnvironmentFailedError, match="several"):
        read_script_metadata(script)
