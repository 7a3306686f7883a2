from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.declared import read_project
from proj.environments.condafile import read_conda_file, selects
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from environment_kit import RequestMaker


def test_a_file_in_full(tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").write_text(
        "name: x\nprefix: C:\\Users\\x\nchannels: [pytorch, nodefaults]\ndependencies:\n- python=3.8\n"
        "- pytorch::pytorch>=1.2\n- pip\n- pip:\n  - alpha\n  - -r more.txt\n"
        "variables:\n  GREETING: hello\n  NUMBER: 010\n"
    )
    found = read_conda_file(tmp_path / "conda.yaml")
    assert [spec.name for spec in found.specs] == ["python", "pytorch", "pip"]
    assert found.specs[1].channel == "pytorch"
    assert found.conda == ("pytorch::pytorch>=1.2",)
    assert found.pip == ("alpha", "-r more.txt")
    assert found.channels == ("pytorch", "nodefaults")
    assert found.variables == (("GREETING", "hello"), ("NUMBER", "010"))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("content", "specs", "warning"),
    [
        ("dependencies:\n- numpy: 1.19\n", ["numpy=1.19"], "a mapping where a package is expected"),
        (
            "dependencies:\n  numpy: 1.19\n  python:\n",
            ["numpy=1.19", "python"],
            "`dependencies:` is a mapping",
        ),
        ("dependencies: [numpy]\npip: [alpha]\n", ["numpy"], "stands beside `dependencies:`"),
        ("dependencies: [numpy]\nverison: 1\n", ["numpy"], "conda does not know verison"),
        ("dependencies: [numpy]\nvariables: [a]\n", ["numpy"], "`variables:` is no mapping"),
        ("dependencies: [numpy]\nvariables: {PATH: /x}\n", ["numpy"], "`variables:` sets PATH"),
        ("dependencies:\n- numpy\n- pywin32  # [win]\n", ["numpy"], "pywin32 is meant for [win]"),
        (
            "dependencies:\n- numpy\n- mkl  # [py38]\n",
            ["numpy", "mkl"],
            "selector [py38] of mkl is not known",
        ),
        ("dependencies:\n- sel(win): vc\n- sel(unix): tool\n", ["tool"], "vc is meant for [win]"),
    ],
)
def test_odd_files_are_read_with_a_warning(
    tmp_path: Path, content: str, specs: list[str], warning: str
) -> None:
    (tmp_path / "conda.yaml").write_text(content)
    found = read_conda_file(tmp_path / "conda.yaml")
    assert [spec.written for spec in found.specs] == specs
    assert any(warning in text for text in found.warnings)


@pytest.mark.parametrize(
    ("selector", "meant"),
    [("linux", True), ("win", False), ("not win", True), ("unix", True), ("osx or linux", True),
     ("linux and not win", True), ("osx", False), ("py>=36", None), ("", None), ("x86_64", True),
     ("linux64", True), ("linux-64", True), ("linux and not aarch64", True), ("arm64", False)],
)  # fmt: skip
def test_selectors(selector: str, meant: bool | None) -> None:
    assert selects(selector, "linux-64") is meant


def test_selectors_are_about_the_platform_that_it_is_read_for(
    tmp_path: Path, request_for: RequestMaker
) -> None:
    (tmp_path / "conda.yaml").write_text(
        "channels: [conda-forge]\ndependencies:\n- python\n- mkl  # [x86_64]\n- openblas  # [aarch64]\n"
    )
    for platform, name in (("linux-64", "mkl"), ("linux-aarch64", "openblas")):
        found = read_project(request_for(tmp_path), platform)
        assert [spec.name for spec in found.specs] == ["python", name]


def test_each_of_several_equal_entries_has_its_own_selector(tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").write_text(
        "dependencies:\n- pytorch  # [win]\n- 'pytorch'  # [linux]\n- pytorch  # [osx]\n"
        "- numpy  # fast\n- pip:\n"
        "  - alpha  # [win]\n  - alpha  # [linux]\n  - pywin32==228  # [win]\n"
        "  - beta @ git+https://h/beta#egg=beta  # [osx]\n  - gamma\n"
    )
    found = read_conda_file(tmp_path / "conda.yaml", "linux-64")
    assert [spec.written for spec in found.specs] == ["pytorch", "numpy"]
    assert found.pip == ("alpha", "gamma")
    assert any("pywin32==228 is meant for [win]" in text for text in found.warnings)


def test_a_variable_with_a_bad_name(tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").write_text("variables:\n  'A; touch x': 1\n")
    with pytest.raises(EnvironmentFailedError, match="no name of a variable"):
        read_conda_file(tmp_path / "conda.yaml")


def test_what_other_systems_alone_have_is_left_out(tmp_path: Path, request_for: RequestMaker) -> None:
    (tmp_path / "conda.yaml").write_text(
        "channels: [conda-forge]\ndependencies: [python=3.8.5=h5fd99cc_1, vc=14.2=h21ff451_1,"
        " m2w64-gcc-libs=5.3.0=7, appnope, numpy, pip: [pywin32==228, alpha]]\n"
    )
    project = read_project(request_for(tmp_path), "linux-64")
    assert [spec.name for spec in project.specs] == ["python", "numpy", "pip"]
    assert project.pip.requirements.lines == ("alpha",)
    told = "\n".join(project.warnings)
    assert "vc=14.2=h21ff451_1 exists for Windows only" in told
    assert "appnope exists for macOS only" in told
    assert "pywin32==228 exists for Windows only" in told
    on_windows = read_project(request_for(tmp_path), "win-64")
    assert {"vc", "m2w64-gcc-libs"} < {spec.name for spec in on_windows.specs}


def test_the_python_that_is_asked_for_on_the_command_line(tmp_path: Path, request_for: RequestMaker) -> None:
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.8, numpy]\n")
    project = read_project(request_for(tmp_path, python="3.9"), "linux-64")
    assert [spec.text() for spec in project.specs] == ['python[version="3.9.*"]', "numpy"]


def test_the_digest_depends_on_what_is_solved_for_alone(
    tmp_path: Path, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for secret, variables in (("one", "a"), ("two", "b")):
        folder = tmp_path / secret
        folder.mkdir()
        monkeypatch.setenv("CHANNEL_KEY", secret)
        (folder / "conda.yaml").write_text(
            "channels: ['https://h/t/${CHANNEL_KEY}/c']\ndependencies: [numpy]\n"
            f"variables: {{A: {variables}}}\n"
        )
        digests.append(read_project(request_for(folder), "linux-64").digest(folder))
    assert digests[0] == digests[1]
    (folder / "conda.yaml").write_text("channels: ['https://h/c2']\ndependencies: [numpy]\n")
    assert read_project(request_for(folder), "linux-64").digest(folder) != digests[0]


@pytest.mark.parametrize("entry", ["python >=3.8 <3.10", "pip >=20 <22", "numpy >=1.19 <2"])
def test_bounds_without_a_comma_are_refused_by_line(tmp_path: Path, entry: str) -> None:
    """Also of what no conda is needed for: the upper one was lost without a word."""
    (tmp_path / "conda.yaml").write_text(f"dependencies:\n- tool\n- {entry}  # so\n- pip:\n  - alpha\n")
    with pytest.raises(EnvironmentFailedError, match=rf"conda\.yaml:3: '{entry}' is no package"):
        read_conda_file(tmp_path / "conda.yaml")


@pytest.mark.parametrize(
    ("channels", "specs", "warned"),
    [
        ("'https://h/t/tk-1/team'", "", ["https://h/team"]),
        ("'https://ada:pw@h/team', 'https://h/t/tk-1/team'", "", ["https://h/team", "https://h/team"]),
        ("'https://${ADA}:pw@h/team'", "", ["https://h/team"]),
        ("team", "- 'https://h/t/tk-1/team::alpha'\n", ["https://h/team"]),
        ("'https://h/t/${TOKEN}/team', 'https://ada:$PW@h/x', 'https://h/team', team", "", []),
    ],
)
def test_secrets_that_stand_in_the_file(tmp_path: Path, channels: str, specs: str, warned: list[str]) -> None:
    (tmp_path / "conda.yaml").write_text(f"channels: [{channels}]\ndependencies:\n- alpha\n{specs}")
    warnings = read_conda_file(tmp_path / "conda.yaml").warnings
    assert [text.split(" is recorded")[0].rpartition(" ")[2] for text in warnings] == warned
    assert all("conda.yaml: the token or password" in text and "${VAR}" in text for text in warnings)
    assert "tk-1" not in str(warnings)
    assert ":pw" not in str(warnings)
