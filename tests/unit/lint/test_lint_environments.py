from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.service import current_platform
from proj.lint import inspect
from proj.model import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Diagnostic

POINT = "entry_points: {main: {command: 'true'}}\n"


def found(folder: Path, **files: str) -> tuple[Diagnostic, ...]:
    """What is found in a project; the keyword `a__b` writes the file `a.b`."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return inspect(folder)[1]


def places(diagnostics: tuple[Diagnostic, ...], folder: Path) -> list[str]:
    """`file:line code` of each finding."""
    return [
        f"{(each.file or '').removeprefix(f'{folder}/')}:{each.position and each.position.line} {each.code}"
        for each in diagnostics
    ]


def test_everything_is_told_although_the_environment_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text(
        "python_env: nope.yaml\n"
        "nam: x\n"
        "entry_points:\n"
        "  main:\n"
        "    parameters: {alpha: flot, beta: [1]}\n"
        "    command: echo {Alpha} {beta}\n"
    )
    assert places(inspect(tmp_path)[1], tmp_path) == [
        "MLproject:1 missing-environment-file",
        "MLproject:2 unknown-key",
        "MLproject:5 unknown-type",
        "MLproject:5 wrong-type",
        "MLproject:6 placeholder-case",
    ]


def test_wrong_requirements_are_found_in_included_files_too(tmp_path: Path) -> None:
    diagnostics = found(
        tmp_path,
        MLproject=POINT,
        requirements__txt="# needs\nnumpy\nsix ==> 1\n-r more.in\n-c nope.txt\n-r gone.txt\n./nofolder\n",
        more__in="mlflow == 2..7.1\n\nflask \\\n  = 1\n",
    )
    assert places(diagnostics, tmp_path) == [
        "requirements.txt:3 wrong-requirement",
        "more.in:1 wrong-requirement",
        "more.in:3 wrong-requirement",
        "requirements.txt:5 wrong-requirement",
        "requirements.txt:6 wrong-requirement",
        "requirements.txt:7 wrong-requirement",
    ]
    assert all(each.severity is Severity.ERROR for each in diagnostics)


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    diagnostics = found(
        tmp_path, MLproject=POINT, requirements__txt="-r b.txt\n", b__txt="-r requirements.txt\na=1\n"
    )
    assert places(diagnostics, tmp_path) == ["b.txt:2 wrong-requirement"]


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==1.26.4",
        "numpy == 1.*, != 1.3.*",
        "numpy>=1,<2,",
        "numpy (>=1.0)",
        "Foo.Bar[a, b-c]~=1.0rc1.post2.dev3 ; python_version < '3.9' and os_name == 'posix'",
        "a===whatever-2004d",
        "a==1!2.0+local.7",
        "a>=v1.0-alpha_2",
        "a @ https://host/a-1.0.tar.gz#sha256=00",
        "git+https://host/team/a.git@v1#egg=a",
        "https://host/a-1.0-py3-none-any.whl",
        "-e git+ssh://git@host/a.git#egg=a&subdirectory=b",
        "a==${VERSION}",
        "a==1.0 --hash=sha256:00 --hash=sha256:11",
        "--index-url https://host/simple",
        "--pre",
        "--trusted-host host",
        "-e .",
        ".[extra]",
        "pywin32==306",
        "a==1.0 # why",
    ],
)
def test_requirements_that_pip_takes_are_no_finding(tmp_path: Path, line: str) -> None:
    (tmp_path / "setup.py").write_text("")
    assert found(tmp_path, MLproject=POINT, requirements__txt=f"{line}\n") == ()


def test_slips_in_a_python_env_have_their_lines(tmp_path: Path) -> None:
    diagnostics = found(
        tmp_path,
        MLproject="python_env: env.yaml\n" + POINT,
        env__yaml="pythn: 3.9\npython: [3]\nbuild_dependencies: [pip, 'wheel==']\n"
        "dependencies:\n  - numpy\n  - mlflow == 2..7.1\n  - ./nofolder\n  - -c nope.txt\n",
    )
    assert places(diagnostics, tmp_path) == [
        "env.yaml:1 unknown-key",
        "env.yaml:2 wrong-type",
        "env.yaml:3 wrong-requirement",
        "env.yaml:6 wrong-requirement",
        "env.yaml:7 wrong-requirement",
        "env.yaml:8 wrong-requirement",
    ]
    assert diagnostics[0].fix == "Write `python`."


def test_a_python_version_that_is_none_is_an_error(tmp_path: Path) -> None:
    diagnostics = found(
        tmp_path, MLproject="python_env: env.yaml\n" + POINT, env__yaml="python: three\ndependencies: [six]\n"
    )
    assert places(diagnostics, tmp_path) == ["env.yaml:1 python-version"]


def test_an_empty_environment_file_is_told(tmp_path: Path) -> None:
    diagnostics = found(tmp_path, MLproject="python_env: env.yaml\n" + POINT, env__yaml="# later\n")
    assert places(diagnostics, tmp_path) == ["env.yaml:1 empty-environment-file"]


def test_packages_that_only_conda_installs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "channels: [defaults]\ndependencies:\n  - python=3.9\n  - cudatoolkit=11\n  - pip:\n    - six==> 1\n"
    )
    diagnostics = found(tmp_path, MLproject="conda_env: conda.yaml\n" + POINT, conda__yaml=text)
    assert places(diagnostics, tmp_path) == ["conda.yaml:6 wrong-requirement"]
    monkeypatch.setenv("PROJ_ENV_MANAGER", "uv")
    assert places(inspect(tmp_path)[1], tmp_path) == [
        "conda.yaml:4 conda-package", "conda.yaml:6 wrong-requirement",
    ]  # fmt: skip


def test_exports_of_other_platforms(tmp_path: Path) -> None:
    text = (
        "channels: [defaults]\nname: x\nprefix: C:\\x\ncategory_: y\ndependencies:\n"
        "  - python=3.7.11=h6244533_0\n  - vc=14.2\n  - ' =1'\n"
    )
    diagnostics = found(tmp_path, MLproject="conda_env: conda.yaml\n" + POINT, conda__yaml=text)
    assert places(diagnostics, tmp_path) == ["conda.yaml:8 wrong-environment-file"], (
        "nothing else can be told"
    )
    (tmp_path / "conda.yaml").write_text(text.replace("  - ' =1'\n", ""))
    assert places(inspect(tmp_path)[1], tmp_path) == [
        "conda.yaml:6 exact-build", "conda.yaml:7 other-platform", "conda.yaml:1 conda-file",
    ]  # fmt: skip


def test_secrets_in_channels_are_told(tmp_path: Path) -> None:
    text = "channels: ['https://h/t/tk-1/team']\ndependencies: [alpha]\n"
    diagnostics = found(tmp_path, MLproject="conda_env: conda.yaml\n" + POINT, conda__yaml=text)
    assert any("write it as ${VAR}" in each.message for each in diagnostics)
    assert not any("tk-1" in each.message for each in diagnostics)


def test_secrets_in_requirements_and_locks_are_told(tmp_path: Path) -> None:
    """Neither the message nor the line that it shows has them."""
    (tmp_path / "c.txt").write_text("nine @ https://u:canary@h/nine.whl\n")
    package = f"https://h/t/canary/team/{current_platform()}/x-1-0.conda"
    (tmp_path / f"conda-{current_platform()}.lock").write_text(f"@EXPLICIT\n{package}\n")
    diagnostics = found(
        tmp_path,
        MLproject=POINT,
        requirements__txt="--extra-index-url https://ada:canary@h/simple\nsix==1\n"
        f"a @ git+https://{'canary' * 4}@h/a.git@v1\nb @ git+ssh://git@h/b.git\n"
        "d @ git+https://ada@h/d.git\nc @ https://u:${PW}@h/c.whl\n"
        "-c c.txt\n",
    )
    secret = [each for each in diagnostics if each.code == "literal-secret"]
    assert [message.message.split(" of ")[1].split(" is ")[0] for message in secret] == [
        "https://h/simple", "git+https://h/a.git@v1", "https://h/nine.whl", "https://h/team",
    ]  # fmt: skip
    assert "canary" not in str(diagnostics)


def test_a_lock_of_python_packages_is_checked_by_a_run_s_rule(tmp_path: Path) -> None:
    """Neither the name of a user nor a folder called `t` is a secret there."""
    right = (
        "ssh://git@github.com/a/b.git", "ssh://ada@h/c.git", "https://ada@h/a.whl", "https://h/t/x/b.whl",
        "https://u:${PW}@h/d.whl",
    )  # fmt: skip
    text = "".join(f'url{number} = "{url}"\n' for number, url in enumerate(right))
    assert found(tmp_path, MLproject=POINT, pylock__toml=text) == ()
    text += 'wrong1 = "https://u:canary@h/e.whl"\nwrong2 = "https://u:canary@h/f.whl"\n'
    (secret,) = found(tmp_path, MLproject=POINT, pylock__toml=text)
    assert (secret.code, "canary" in str(secret)) == ("literal-secret", False)
    assert "the URL of https://h is" in secret.message


def test_a_pyproject_file_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    diagnostics = found(tmp_path, MLproject=POINT, pyproject__toml="[project\n")
    assert [each.code for each in diagnostics] == ["wrong-environment-file"]


def test_a_pair_in_one_word_is_no_variable(tmp_path: Path) -> None:
    text = "docker_env: {image: x, environment: [A=canary]}\n" + POINT
    (wrong,) = found(tmp_path, MLproject=text)
    assert wrong.severity is Severity.ERROR
    assert "A=…, which is no name of a variable" in wrong.message


@pytest.mark.parametrize(
    ("image", "right"),
    [
        ("team/model", True),
        ("host:5000/a/b:v1", True),
        (f"sha256:{'0a' * 32}", True),
        (f"x@sha256:{'0a' * 32}", True),
        ("0a1b2c3d4e5f", True),
        ("Team model", False),
        ("python:3.11 slim", False),
        ("x@sha256:0a", False),
    ],
)
def test_a_name_that_no_image_has_is_told(tmp_path: Path, image: str, right: bool) -> None:
    diagnostics = found(tmp_path, MLproject=f"docker_env: {{image: '{image}'}}\n{POINT}")
    assert [each.code for each in diagnostics] == ([] if right else ["docker-option"])


def test_volumes_that_docker_would_not_take_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROJ_TEST_DATA", raising=False)
    volumes = ["data/in:/in", "/out:out", "${PROJ_TEST_DATA}:/data", "named:/x:ro", "$(pwd)/y:/y"]
    diagnostics = found(
        tmp_path,
        MLproject=f"name: p\ndocker_env:\n  image: i\n  volumes: {volumes}\n"
        "entry_points: {main: {command: ls}}\n",
    )
    assert [(each.severity.value, each.code) for each in diagnostics] == [
        ("error", "docker-volume"),
        ("error", "docker-volume"),
        ("warning", "missing-host-variable"),
    ]
    assert "data/in" in diagnostics[0].message
    assert diagnostics[0].fix == "For a folder of the project write ./data/in:/in."
    assert "PROJ_TEST_DATA" in diagnostics[2].message
