from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from proj.environments.requirements import (
    logical_lines,
    parse_requirements,
    read_requirements,
    read_text,
    requirement_name,
)
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path


def test_comments_blanks_and_continuations() -> None:
    text = "# all\nnumpy==1.0  # pinned\n\npandas \\\n  >=1 \\\n  # still pandas\nurl @ https://h/x#egg=y\n"
    assert logical_lines(text) == ["numpy==1.0", "pandas >=1", "url @ https://h/x#egg=y"]


def test_included_files_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "top.txt").write_text("-r deep/more.txt\n-c deep/limits.txt\nnumpy\n")
    (tmp_path / "deep" / "more.txt").write_text("-r last.txt\npandas\n")
    (tmp_path / "deep" / "last.txt").write_text("scipy\n")
    (tmp_path / "deep" / "limits.txt").write_text("numpy<2\n")
    found = read_requirements(tmp_path / "top.txt", tmp_path)
    assert found.lines == ("scipy", "pandas", "numpy")
    assert found.constraints == ("numpy<2",)


def test_a_loop_of_includes_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\nalpha\n")
    (tmp_path / "b.txt").write_text("-r a.txt\nbeta\n")
    assert set(read_requirements(tmp_path / "a.txt", tmp_path).lines) == {"alpha", "beta"}


def test_a_file_that_is_elsewhere_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match="is not a file") as caught:
        parse_requirements(["-r https://u:canary@h/r.txt"], origin="r", base=tmp_path, project_dir=tmp_path)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("line", ["-r gone.txt", "-c gone.txt", "--requirement=gone.txt", "-rgone.txt"])
def test_a_missing_include_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"gone\.txt"):
        parse_requirements([line], origin="python_env.yaml", base=tmp_path, project_dir=tmp_path)


def test_index_options_in_all_spellings(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    lines = [
        "-i https://one/simple",
        "--extra-index-url=https://two/simple",
        "--extra-index-url https://two/simple",
        "-f wheels",
        "--pre",
        "--trusted-host one",
        "--nonsense",
    ]
    found = parse_requirements(lines, origin="r.txt", base=tmp_path, project_dir=tmp_path)
    assert found.options == (
        "--index-url https://one/simple",
        "--extra-index-url https://two/simple",
        f"--find-links {tmp_path / 'wheels'}",
        "--pre",
    )
    assert found.warnings == ("r.txt: the option --nonsense is not known and was left out.",)


@pytest.mark.parametrize(
    ("line", "editable", "extras"),
    [
        ("-e .", True, ""),
        ("-e .[dev]", True, "[dev]"),
        ("--editable=./pkg", True, ""),
        ("./pkg", False, ""),
        (".", False, ""),
        ("pkg[x,y]", False, "[x,y]"),
        ("file:pkg", False, ""),
        ("name @ file:pkg", False, ""),
    ],
)
def test_local_packages(tmp_path: Path, line: str, editable: bool, extras: str) -> None:
    (tmp_path / "pkg").mkdir()
    if line.startswith("pkg"):
        line = "./" + line
    (package,) = parse_requirements([line], origin="r.txt", base=tmp_path, project_dir=tmp_path).local
    assert (package.editable, package.extras) == (editable, extras)
    assert package.path == str(tmp_path / "pkg" if "pkg" in line else tmp_path)


def test_a_local_path_is_looked_up_in_the_project_too(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "deep").mkdir()
    found = parse_requirements(["./pkg"], origin="r.txt", base=tmp_path / "deep", project_dir=tmp_path)
    assert found.local[0].path == str(tmp_path / "pkg")


def test_a_missing_local_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"\./gone"):
        parse_requirements(["-e ./gone"], origin="r.txt", base=tmp_path, project_dir=tmp_path)


def test_a_repository_is_no_local_package(tmp_path: Path) -> None:
    lines = ["-e git+https://h/r.git@abc#egg=tool", "-e git+https://h/s.git#egg=sub&subdirectory=d"]
    found = parse_requirements(lines, origin="r.txt", base=tmp_path, project_dir=tmp_path)
    assert found.lines == ("tool @ git+https://h/r.git@abc", "sub @ git+https://h/s.git#subdirectory=d")


def test_windows_only_pins_are_left_out(tmp_path: Path) -> None:
    lines = ["pywin32==227", "pypiwin32", "alpha", 'pywin32==300; sys_platform == "win32"']
    found = parse_requirements(lines, origin="r.txt", base=tmp_path, project_dir=tmp_path)
    assert found.lines == ("alpha", 'pywin32==300; sys_platform == "win32"')
    assert [warning.split()[1] for warning in found.warnings] == ["pywin32==227", "pypiwin32"]


@pytest.mark.parametrize(
    "raw",
    [
        "alpha==1\n".encode("utf-16"),
        codecs.BOM_UTF8 + b"alpha==1\r\n",
        b"alpha==1 # caf\xe9\n",
    ],
)
def test_what_windows_tools_write(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "r.txt").write_bytes(raw)
    assert read_requirements(tmp_path / "r.txt", tmp_path).lines == ("alpha==1",)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes(b"\x7fELF\0\xff\xfe\0")
    with pytest.raises(EnvironmentFailedError, match="not a text file"):
        read_text(tmp_path / "r.txt")


def test_hashes_make_a_lock(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("--require-hashes\na==1 \\\n  --hash=sha256:0\nb==2 --hash=sha256:1\n")
    assert read_requirements(tmp_path / "r.txt", tmp_path).hashed
    (tmp_path / "r.txt").write_text("a==1 --hash=sha256:0\nb==2\n")
    assert not read_requirements(tmp_path / "r.txt", tmp_path).hashed


@pytest.mark.parametrize(
    ("line", "name"),
    [("Scikit_Learn>=1", "scikit-learn"), ("a.b[x]==1", "a-b"), ("-e .", ""), ("x @ https://h/x.whl", "x")],
)
def test_names_are_normalised(line: str, name: str) -> None:
    assert requirement_name(line) == name
