"""What is remembered of a project file is what the parser says of it, or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from proj import paths, projectfile
from proj.errors import ProjError
from proj.model import EntryPoint, Project
from proj.projectfile import ProjectInvalidError, parser, remembered

CASES = sorted(
    path.parent
    for path in (Path(__file__).parents[2] / "projects").glob("*/[Mm][Ll][Pp]roject*")
    if path.is_file()
)
PLAIN = (
    "name: plain\nentry_points: {main: {command: 'echo {x}', parameters: {x: {type: float, default: 1}}}}\n"
)


def write(folder: Path, text: str = PLAIN) -> Path:
    (folder / "MLproject").write_text(text, "utf-8")
    return folder


def parsed(folder: Path, *, strict: bool = False) -> Project:
    file = projectfile.find(folder)
    assert file is not None
    return parser.parse(file.read_bytes(), file=file, strict=strict)


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that the parser was asked about."""
    asked: list[Path] = []
    parse = parser.parse

    def listen(data: bytes, *, file: Path, strict: bool = False) -> Project:
        asked.append(file)
        return parse(data, file=file, strict=strict)

    monkeypatch.setattr(parser, "parse", listen)
    return asked


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@pytest.mark.parametrize("strict", [False, True])
def test_the_second_time_says_what_the_first_did(case: Path, strict: bool) -> None:
    def told() -> Project | str:
        try:
            return projectfile.load(case, strict=strict)
        except ProjError as error:
            return error.message

    first = told()
    assert told() == first
    assert isinstance(first, str) or first == parsed(case, strict=strict)


def test_a_file_is_parsed_once(tmp_path: Path, parses: list[Path]) -> None:
    write(tmp_path)
    first, second = projectfile.load(tmp_path), projectfile.load(tmp_path)
    assert first == second == parsed(tmp_path)
    assert len(parses) == 2, "by the first call, and by the comparison"


def test_the_same_file_in_another_folder_is_that_folder_s(tmp_path: Path, parses: list[Path]) -> None:
    here, there = (tmp_path / name for name in ("here", "there"))
    for folder in (here, there):
        folder.mkdir()
        projectfile.load(write(folder))
    assert parses == [here / "MLproject"]
    found = projectfile.load(there)
    assert (found.directory, found.file) == (there, there / "MLproject")


def test_another_content_is_parsed_anew(tmp_path: Path) -> None:
    assert projectfile.load(write(tmp_path)).name == "plain"
    assert projectfile.load(write(tmp_path, PLAIN.replace("plain", "fancy"))).name == "fancy"


def test_what_there_is_to_say_is_said_each_time(tmp_path: Path) -> None:
    write(tmp_path, PLAIN + "nmae: x\n")
    first, second = projectfile.load(tmp_path), projectfile.load(tmp_path)
    assert first.diagnostics
    assert second == first
    with pytest.raises(ProjectInvalidError):
        projectfile.load(tmp_path, strict=True)


def test_the_environment_s_file_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "python_env.yaml").write_text("python: '3.11'\n")
    write(tmp_path, PLAIN + "python_env: python_env.yaml\n")
    assert projectfile.load(tmp_path) == projectfile.load(tmp_path)
    (tmp_path / "python_env.yaml").unlink()
    with pytest.raises(ProjectInvalidError, match=r"python_env\.yaml, which is not there"):
        projectfile.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x93", b"garbage", msgspec.msgpack.encode(["x", [["", {}]]])])
def test_a_damaged_memory_is_none(tmp_path: Path, content: bytes) -> None:
    known = projectfile.load(write(tmp_path))
    (paths.cache() / "project-files").write_bytes(content)
    assert projectfile.load(tmp_path) == known
    assert projectfile.load(tmp_path) == known


def test_what_another_reader_said_does_not_count(
    tmp_path: Path, parses: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    projectfile.load(write(tmp_path))
    monkeypatch.setattr(remembered, "__version__", "another")
    projectfile.load(tmp_path)
    assert len(parses) == 2


def test_a_changed_reader_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    module = code / "keys.py"
    module.write_text("")
    monkeypatch.setattr(remembered, "_READERS", (str(code),))
    before = remembered._reader()
    os.utime(module, ns=(0, module.stat().st_mtime_ns + 1))
    assert remembered._reader() != before


def test_twenty_are_remembered(tmp_path: Path, parses: list[Path]) -> None:
    for number in range(22):
        projectfile.load(write(tmp_path, PLAIN.replace("plain", f"n{number}")))
    parses.clear()
    projectfile.load(write(tmp_path, PLAIN.replace("plain", "n2")))
    assert not parses
    projectfile.load(write(tmp_path, PLAIN.replace("plain", "n1")))
    assert parses


def test_a_large_file_is_not_kept(tmp_path: Path, parses: list[Path]) -> None:
    write(tmp_path, PLAIN.replace("plain", "n" * 40_000))
    assert projectfile.load(tmp_path) == projectfile.load(tmp_path)
    assert len(parses) == 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROJ_CACHE", str(tmp_path / "file" / "below"))
    point = projectfile.load(write(tmp_path)).entry_points[0]
    assert isinstance(point, EntryPoint)
    assert point.name == "main"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("echo", "API_TOKEN=c4nary echo"),
        PLAIN.replace("echo", "curl https://ada:c4nary@host"),
        PLAIN + "docker_env: {image: x, environment: [[NAME, c4nary]]}\n",
        PLAIN + "# password: c4nary\n",
        PLAIN.replace("echo", "train --api-key c4nary"),
        PLAIN.replace("echo", "train --access-key=c4nary"),
        PLAIN.replace("echo", "train --key sk-live-c4nary0123"),
        PLAIN.replace("echo", "curl --oauth2 Bearer c4nary"),
        PLAIN.replace("echo", "train ghp_c4nary0123456789"),
    ],
)
def test_what_may_be_a_secret_is_not_kept(tmp_path: Path, text: str, parses: list[Path]) -> None:
    write(tmp_path, text)
    assert projectfile.load(tmp_path) == projectfile.load(tmp_path)
    assert len(parses) == 2
    assert not (paths.cache() / "project-files").exists()


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    projectfile.load(write(tmp_path))
    assert stat.S_IMODE((paths.cache() / "project-files").stat().st_mode) == 0o600


def test_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    write(
        tmp_path,
        "entry_points: {main: {command: x, parameters: {a: {type: float, min: -.inf, max: 1.0e+300}}}}",
    )
    found = [projectfile.load(tmp_path).entry_points[0].parameters[0] for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].minimum == parsed(tmp_path).entry_points[0].parameters[0].minimum
