"""What cannot be run ends in one clear message, exit code 2 or 125, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import sqlite3
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from disks import mounted, mounts, resize
from projkit import PROJ, ProjFolder, Result, Started, bare_repository, echo_project, local_environment, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = echo_project("echo good")
ENTRY = "entry_points:\n  main:\n    command: echo\n"


def refused(folder: ProjFolder, result: Result, *texts: str, code: int) -> None:
    """See that a command ended in one clear message, and left nothing behind."""
    assert result.code == code, result
    assert "Traceback" not in result.stderr, result
    assert result.out == b"", result
    assert [line for line in result.lines if line.startswith("proj:")], result
    for text in texts:
        assert text in result.stderr, result
    folder.clean()


def refused_without_run(folder: ProjFolder, result: Result, *texts: str, code: int = 125) -> None:
    """The same, and see that no run was recorded."""
    refused(folder, result, *texts, code=code)
    assert folder.runs() == ()
    assert not any((folder.home / "artifacts").glob("*"))


# --- folders and files --------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(folder: ProjFolder) -> None:
    refused_without_run(folder, folder.run("run", "./nowhere"), "nowhere")


def test_a_folder_without_a_project(folder: ProjFolder) -> None:
    refused_without_run(folder, folder.run("run", "."), "main", "no MLproject file", code=2)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n \n# nothing\n",
    "null": b"~\n",
    "a list": b"- main\n",
    "a text": b"main\n",
    "a number": b"42\n",
    "binary": bytes(range(256)) * 16,
    "executable": b"\x7fELF\x02\x01\x01" + bytes(64),
    "NUL": b"name: a\x00b\n",
    "tab-indented": b"entry_points:\n\tmain:\n\t\tcommand: echo\n",
    "anchor bomb": BOMB.encode(),
    "anchor bomb in use": (BOMB + "entry_points: *i\n").encode(),
    "an anchor within itself": b"entry_points: &a\n  main: *a\n",
    "nested too deep": b"entry_points: " + b"[" * 100_000,
    "latin-1": "name: Übung\n".encode("latin-1") + ENTRY.encode(),
    "utf-16 without mark": "name: x\n".encode("utf-16-le"),
    "10 MB": b"# " + b"x" * (10 << 20) + b"\n" + ENTRY.encode(),
    "10 MB of keys": b"".join(b"key%d: value\n" % number for number in range(650_000)),
    "two documents": b"name: a\n---\nname: b\n",
    "a Python object": b"name: !!python/object/apply:os.system ['touch hacked']\n",
    "an open quote": b'name: "abc\n',
    "two environments": b"python_env: a.yaml\nconda_env: b.yaml\n" + ENTRY.encode(),
}


@pytest.mark.parametrize("content", FILES.values(), ids=list(FILES))
def test_a_file_that_is_no_project(folder: ProjFolder, content: bytes) -> None:
    folder.write({"MLproject": content})
    refused_without_run(folder, folder.run("run", "."), "MLproject")
    assert not (folder.path / "hacked").exists()


WRONG: dict[str, str] = {
    "name: [a]": "name",
    "name: {a: b}": "name",
    "python_env: [a]": "python_env",
    "python_env: {a: b}": "python_env",
    "conda_env: 3": "conda_env",
    "docker_env: text": "docker_env",
    "docker_env: {image: [a]}": "image",
    "docker_env: {image: a, volumes: {a: b}}": "volumes",
    "docker_env: {image: a, environment: {a: b}}": "environment",
    "proj: text": "proj",
    "proj: {outputs: {a: b}}": "outputs",
    "proj: {metrics: 3}": "metrics",
    "proj: {quoting: odd}": "quoting",
}
WRONG_ENTRY_POINTS: dict[str, str] = {
    "text": "entry_points",
    "[a, b]": "entry_points",
    "{main: text}": "main",
    "{main: [a]}": "main",
    "{main: {}}": "command",
    "{main: {command: [a]}}": "command",
    "{main: {command: {a: b}}}": "command",
    "{main: {command: a, parameters: text}}": "parameters",
    "{main: {command: a, parameters: [a]}}": "parameters",
    "{main: {command: a, parameters: {p: [a]}}}": "p",
    "{main: {command: a, parameters: {p: {type: int, min: low}}}}": "min",
    "{main: {command: a, parameters: {p: {type: choice, choices: a}}}}": "choices",
}


@pytest.mark.parametrize(("text", "key"), WRONG.items())
def test_a_value_of_the_wrong_type(folder: ProjFolder, text: str, key: str) -> None:
    folder.write({"MLproject": f"{ENTRY}{text}\n"})
    refused_without_run(folder, folder.run("run", "."), "MLproject:4", key)


@pytest.mark.parametrize(("text", "key"), WRONG_ENTRY_POINTS.items())
def test_an_entry_point_of_the_wrong_type(folder: ProjFolder, text: str, key: str) -> None:
    folder.write({"MLproject": f"name: a\nentry_points: {text}\n"})
    refused_without_run(folder, folder.run("run", "."), "MLproject:", key)


def test_all_that_is_wrong_is_told_at_once(folder: ProjFolder) -> None:
    text = "name: [a]\nentry_points:\n  main: {command: a, parameters: b}\n  other: [a]\npython_env: {a: b}\n"
    folder.write({"MLproject": text})
    places = ("MLproject:1", "MLproject:3", "MLproject:4", "MLproject:5")
    refused_without_run(folder, folder.run("run", "."), "4 errors", *places)


def test_a_key_given_twice_is_a_warning(folder: ProjFolder) -> None:
    folder.write({"MLproject": f"name: a\n{ENTRY}{ENTRY.replace('echo', 'echo second')}"})
    result = folder.run("run", ".")
    assert result.code == 0
    assert result.stdout == "second\n"
    assert [line for line in result.lines if line.startswith("warning:") and "entry_points" in line], result


# --- entry points, parameters, commands ---------------------------------------------------------------


def test_an_unknown_entry_point_lists_those_that_are_there(folder: ProjFolder) -> None:
    folder.write({"MLproject": "entry_points:\n  train: {command: a}\n  test: {command: b}\n"})
    refused_without_run(folder, folder.run("run", ".", "-e", "tran"), "tran", "train", "test", code=2)
    refused_without_run(folder, folder.run("run", "."), "train", "test", code=2)


PARAMETERS = """
entry_points:
  main:
    parameters:
      needed: int
      rate: {type: float, min: 0, max: 1, default: 0.5}
      kind: {type: choice, choices: [a, b], default: a}
      data: {type: path, default: ""}
    command: "echo {needed} {rate} {kind} {data}"
"""


def test_parameters_that_do_not_fit_are_told_at_once(folder: ProjFolder) -> None:
    folder.write({"MLproject": PARAMETERS})
    missing = folder.run("run", ".", "-P", "rate=high", "-P", "kind=c")
    refused_without_run(folder, missing, "needed", "rate", "'high'", "kind", "'c'", code=2)
    ill_typed = folder.run("run", ".", "-P", "needed=3.5", "-P", "rate=2")
    refused_without_run(folder, ill_typed, "needed", "'3.5'", "rate", code=2)


def test_a_path_parameter_that_is_not_there(folder: ProjFolder) -> None:
    folder.write({"MLproject": PARAMETERS})
    result = folder.run("run", ".", "-P", "needed=1", "-P", "data=no/such/file")
    assert result.code in (2, 125)
    refused_without_run(folder, result, "data", "no/such/file", code=result.code)


def test_a_placeholder_without_a_parameter(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo {nobody}")})
    refused_without_run(folder, folder.run("run", "."), "MLproject:4", "nobody", code=2)


# --- options ------------------------------------------------------------------------------------------

OPTIONS: dict[str, tuple[list[str], str]] = {
    "no project": ([], "Which project"),
    "no such option": (["--nonsense"], "--nonsense"),
    "-P without =": (["-P", "x"], "Invalid format for -P parameter: 'x'. Use -P name=value."),
    "-P twice": (["-P", "x=1", "-P", "x=2"], "x"),
    "both experiments": (["--experiment-name", "a", "--experiment-id", "0"], "--experiment-id"),
    "experiment id": (["--experiment-id", "4711"], "4711"),
    "backend": (["-b", "nowhere"], "local"),
    "env manager": (["--env-manager", "nix"], "virtualenv"),
    "config that is no JSON": (["-c", "{broken"], "JSON"),
    "config that is no object": (["-c", "[1]"], "JSON object"),
    "config file": (["-c", "nowhere.json"], "nowhere.json"),
    "params file": (["--params", "nowhere.yaml"], "nowhere.yaml"),
    "run id": (["--run-id", "0123456789abcdef0123456789abcdef"], "0123456789abcdef0123456789abcdef"),
    "timeout": (["--timeout", "soon"], "soon"),
    "grace": (["--grace", "-3x"], "-3x"),
    "tag": (["--tag", "novalue"], "novalue"),
    "as of": (["--as-of", "yesteryear"], "yesteryear"),
    "lock modes": (["--upgrade", "--frozen"], "--frozen"),
    "quoting": (["--quoting", "wild"], "wild"),
}


@pytest.mark.parametrize(("argv", "text"), OPTIONS.values(), ids=list(OPTIONS))
def test_an_option_that_cannot_be_meant(folder: ProjFolder, argv: list[str], text: str) -> None:
    folder.write({"MLproject": GOOD})
    uri = ["."] if argv else []
    refused_without_run(folder, folder.run("run", *uri, *argv), text, code=2)


def test_a_broken_params_file(folder: ProjFolder) -> None:
    folder.write({"MLproject": GOOD, "p.yaml": "a: [", "list.yaml": "- a\n", "p.json": b"\xff\xfe\x00"})
    for name in ("p.yaml", "list.yaml", "p.json"):
        refused_without_run(folder, folder.run("run", ".", "--params", name), name, code=2)


HOSTILE_YAML = {
    "anchor bomb": BOMB,
    "an anchor within itself": "a: &a {b: *a}\n",
    "nested too deep": "a: " + "[" * 900_000,
}


@pytest.mark.parametrize("text", HOSTILE_YAML.values(), ids=list(HOSTILE_YAML))
def test_hostile_yaml_is_refused_wherever_yaml_is_read(folder: ProjFolder, text: str) -> None:
    folder.write({"MLproject": GOOD, "c.yaml": text, "c.json": text[3:]})
    for option in ("-c", "--params"):
        for name in ("c.yaml", "c.json"):
            refused_without_run(folder, folder.run("run", ".", option, name), "c.", code=2)
    for key in ("python_env", "conda_env"):
        folder.write({"MLproject": f"{key}: c.yaml\n{ENTRY}"})
        refused_without_run(folder, folder.run("run", "."), "c.yaml")


def test_a_project_file_that_is_a_pipe(folder: ProjFolder) -> None:
    os.mkfifo(folder.path / "MLproject")
    refused_without_run(folder, folder.run("run", "."), "MLproject")


def test_an_unknown_command_and_a_missing_env_file(folder: ProjFolder) -> None:
    refused_without_run(folder, folder.run("runn"), "runn", "Did you mean 'run'", code=2)
    refused_without_run(folder, folder.run("--env-file", "nowhere.env", "run", "."), "nowhere.env", code=2)


def test_errors_are_json_where_json_is_asked_for(folder: ProjFolder) -> None:
    folder.write({"MLproject": GOOD})
    result = folder.run("run", "./nowhere", "--json")
    assert result.code == 125
    assert result.json["ok"] is False
    assert result.json["error"]["code"] == "source_failed"
    assert "nowhere" in result.json["error"]["message"]
    usage = folder.run("run", ".", "--json", "-P", "x")
    assert usage.code == 2
    assert usage.json["error"]["code"] == "usage"


# --- source -------------------------------------------------------------------------------------------


def test_an_unknown_revision_and_a_subfolder_that_is_not_there(folder: ProjFolder) -> None:
    url, _ = bare_repository(folder, {"MLproject": GOOD})
    refused_without_run(folder, folder.run("run", url, "-v", "no-such-branch"), "no-such-branch")
    refused_without_run(folder, folder.run("run", f"{url}#no/such/folder"), "no/such/folder")
    refused_without_run(folder, folder.run("run", f"{url}#../.."), "..")
    folder.write({"MLproject": GOOD})
    refused_without_run(folder, folder.run("run", ".#nowhere"), "nowhere")
    refused_without_run(folder, folder.run("run", ".", "-v", "main"))


@contextlib.contextmanager
def listening(*, accept: bool) -> Iterator[int]:
    """A port where nobody answers: it refuses connections, or takes them and stays silent."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    if accept:
        server.listen(8)
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def test_a_git_host_that_refuses(folder: ProjFolder) -> None:
    with listening(accept=False) as port:
        url = f"https://user:secret@127.0.0.1:{port}/team/repo.git"
        result = folder.run("run", url)
    refused_without_run(folder, result, f"127.0.0.1:{port}")
    assert "secret" not in result.stderr


def _archive_with(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("MLproject", GOOD)
        archive.writestr(name, "out")
    return content.getvalue()


def _tar_with(member: tarfile.TarInfo) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        project = tarfile.TarInfo("MLproject")
        project.size = len(GOOD)
        archive.addfile(project, io.BytesIO(GOOD.encode()))
        archive.addfile(member)
    return content.getvalue()


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


ARCHIVES: dict[str, tuple[str, bytes]] = {
    "zip with ../": ("a.zip", _archive_with("../outside.txt")),
    "zip with an absolute path": ("a.zip", _archive_with("/tmp/outside.txt")),
    "tar with ../": ("a.tar.gz", _tar_with(tarfile.TarInfo("../../outside.txt"))),
    "tar with a link out": ("a.tar.gz", _tar_with(_link("link", "../../outside.txt"))),
    "tar with a hard link out": ("a.tar.gz", _tar_with(_link("link", "/etc/passwd", tarfile.LNKTYPE))),
    "tar with a device": ("a.tar.gz", _tar_with(_link("null", "", tarfile.CHRTYPE))),
    "no archive": ("a.zip", b"this is no archive"),
    "empty": ("a.zip", b""),
    "cut off": ("a.tar.gz", _tar_with(tarfile.TarInfo("x"))[:60]),
}


@pytest.mark.parametrize(("name", "content"), ARCHIVES.values(), ids=list(ARCHIVES))
def test_an_archive_that_is_not_to_be_unpacked(folder: ProjFolder, name: str, content: bytes) -> None:
    folder.write({name: content})
    refused_without_run(folder, folder.run("run", name), name)
    assert not (folder.base / "outside.txt").exists()
    assert not list(folder.cache.rglob("outside.txt"))


def test_an_archive_without_a_project(folder: ProjFolder) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("README", "none")
    folder.write({"a.zip": content.getvalue()})
    refused_without_run(folder, folder.run("run", "a.zip"), "no MLproject file", code=2)


def test_an_uncompressed_archive_is_read_from_its_start(folder: ProjFolder) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        project = tarfile.TarInfo("MLproject")
        project.size = len(GOOD)
        archive.addfile(project, io.BytesIO(GOOD.encode()))
    folder.write({"a.tar": content.getvalue()})
    result = folder.run("run", "a.tar")
    assert (result.code, result.stdout) == (0, "good\n"), result
    folder.clean()


# --- environments -------------------------------------------------------------------------------------


def environment(text: str) -> dict[str, str | bytes]:
    return {"MLproject": f"python_env: python_env.yaml\n{ENTRY}", "python_env.yaml": text}


def test_an_environment_file_that_is_not_there(folder: ProjFolder) -> None:
    folder.write({"MLproject": f"python_env: nowhere.yaml\n{ENTRY}"})
    result = folder.run("run", ".")
    refused_without_run(folder, result, "nowhere.yaml")


def test_requirements_that_cannot_be_resolved(folder: ProjFolder) -> None:
    folder.write(environment("dependencies: [no-such-package-of-anybody==1.0]\n"))
    result = folder.run("run", ".", "--offline")
    refused(folder, result, "no-such-package-of-anybody", code=125)
    run = folder.the_run()
    assert run.status.value == "FAILED"
    assert run.tags["proj.failure"] == "env_failed"
    assert folder.outcome(run).failure == "env_failed"


def test_a_python_that_is_not_there(folder: ProjFolder) -> None:
    folder.write(environment('python: "3.5.1"\ndependencies: []\n'))
    refused(folder, folder.run("run", "."), "3.5.1", "--python", code=125)
    assert not folder.under_way()


ENVIRONMENT_FILES = {
    "binary": bytes(range(256)),
    "empty requirement": b"dependencies: ['==1']\n",
    "a number": b"42\n",
    "a list": b"- a\n",
    "not YAML": b"dependencies: [\n",
    "wrong types": b"python: {a: b}\ndependencies: 3\n",
    "a python that is none": b"python: snake\n",
    "an include that is not there": b"dependencies: ['-r nowhere.txt']\n",
}


@pytest.mark.parametrize("content", ENVIRONMENT_FILES.values(), ids=list(ENVIRONMENT_FILES))
def test_a_broken_environment_file(folder: ProjFolder, content: bytes) -> None:
    folder.write({"MLproject": f"python_env: python_env.yaml\n{ENTRY}", "python_env.yaml": content})
    refused(folder, folder.run("run", ".", "--offline"), code=125)


def test_conda_packages_without_a_channel(folder: ProjFolder) -> None:
    conda = "dependencies: [python=3.11, numpy=1.26, cudatoolkit, pip, {pip: [six]}]\n"
    folder.write({"MLproject": f"conda_env: conda.yaml\n{ENTRY}", "conda.yaml": conda})
    result = folder.run("run", ".", "--offline")
    assert (result.code, "Traceback" in result.stderr) == (125, False), result
    assert "conda.yaml" in result.stderr
    assert "Not all of it is in the cache" in result.stderr
    assert folder.the_run().tags["proj.failure"] == "env_failed"


# --- the record ---------------------------------------------------------------------------------------


def test_a_record_of_a_newer_version_is_left_alone(folder: ProjFolder) -> None:
    folder.write({"MLproject": GOOD})
    assert folder.run("run", ".").code == 0
    database = folder.home / "proj.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 9999")
        connection.commit()
    before = database.read_bytes()
    result = folder.run("run", ".")
    assert (result.code, "Traceback" in result.stderr) == (125, False), result
    assert "newer" in result.stderr
    assert str(folder.home) in result.stderr
    assert result.stdout == ""
    assert database.read_bytes() == before


@pytest.mark.parametrize("damage", ["not a database", "page"])
def test_a_damaged_record_is_named_and_left_alone(folder: ProjFolder, damage: str) -> None:
    folder.write({"MLproject": GOOD})
    assert folder.run("run", ".").code == 0
    database = folder.home / "proj.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    content = bytearray(database.read_bytes())
    if damage == "page":
        content[100:] = b"\xa5" * (len(content) - 100)
    else:
        content = bytearray(b"all my notes\n" * 500)
    database.write_bytes(content)
    result = folder.run("run", ".")
    assert (result.code, "Traceback" in result.stderr) == (125, False), result
    assert str(database) in result.stderr
    assert result.stdout == ""
    assert database.read_bytes() == bytes(content)
    assert not any((folder.home / "active").iterdir())


def test_a_home_that_cannot_be_made(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write({"MLproject": GOOD, "file": "in the way"})
    monkeypatch.setenv("PROJ_HOME", str(folder.path / "file"))
    result = folder.run("run", ".")
    assert (result.code, "Traceback" in result.stderr) == (125, False), result
    assert "PROJ_HOME" in result.stderr
    assert (folder.path / "file").read_text() == "in the way"


def test_a_cache_that_cannot_be_made(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = bare_repository(folder, {"MLproject": GOOD})
    folder.write({"file": "in the way"} | environment("dependencies: [six]\n"))
    monkeypatch.setenv("PROJ_CACHE", str(folder.path / "file"))
    fetched = folder.run("run", url)
    assert (fetched.code, "Traceback" in fetched.stderr) == (125, False), fetched
    assert "file" in fetched.stderr
    built = folder.run("run", ".", "--offline")
    assert (built.code, "Traceback" in built.stderr) == (125, False), built
    assert not folder.under_way()
    assert not any((folder.home / "active").iterdir())


# --- disks --------------------------------------------------------------------------------------------


def test_a_home_that_may_not_be_written(folder: ProjFolder) -> None:
    launcher: tuple[str, ...] = ()
    if os.geteuid() == 0:  # without its capabilities, root has to obey the permission bits too
        launcher = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
        if sys.platform != "linux" or shutil.which("setpriv") is None:
            pytest.skip("root can write anywhere, and there is no setpriv to hinder it")
    folder.write({"MLproject": GOOD})
    folder.home.mkdir()
    folder.home.chmod(0o555)
    started = Started(
        [*launcher, PROJ, "run", "."], cwd=folder.path, env=folder.environment(), log=folder.base / "log"
    )
    result = started.finish()
    folder.home.chmod(0o755)
    refused_without_run(folder, result, str(folder.home))


FULL_HOMES_KIB = (4, 24, 96, 240, 264, 272, 280, 288, 300, 340, 380, 440)
"""From "no database can be made" to "the outputs do not fit"."""


@mounts
def test_a_full_disk_below_the_home(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails: one message, and no run stays open once there is room again."""
    outputs = "proj: {outputs: [out.bin]}\n"
    command = "head -c 60000 /dev/zero; head -c 100000 /dev/zero > out.bin"
    folder.write({"MLproject": outputs + echo_project(command)})
    ended = set()
    for size_kib in FULL_HOMES_KIB:
        with mounted(folder.base / "disk", f"size={size_kib}k") as disk:
            monkeypatch.setenv("PROJ_HOME", str(disk / "home"))
            folder.home = disk / "home"
            result = folder.run("run", ".", "--quiet")
            assert (result.code, "Traceback" in result.stderr) == (125, False), (size_kib, result)
            assert result.stderr.count("proj:") == 1, (size_kib, result)
            resize(disk, "8m")
            assert folder.run("run", ".", "--quiet").code == 0
            folder.clean()
            assert folder.runs()[0].status.value == "FINISHED"
            ended |= {run.status.value for run in folder.runs()[1:]}
    # Where the command ran, the record says so in the end; where it never came to that, it failed.
    assert ended == {"FAILED", "FINISHED"}


@mounts
@pytest.mark.parametrize("kind", ["git", "archive", "environment"])
def test_a_full_disk_below_the_caches(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    uri, sizes_kib = ".", (4, 16, 60, 160)
    if kind == "environment":
        folder.write({"MLproject": f"python_env: python_env.yaml\n{ENTRY}"} | local_environment("big"))
        folder.write({"wheels/big-1.0-py3-none-any.whl": wheel("big", "1.0", padding_bytes=200_000)})
    else:
        uri = "big.zip"
        if kind == "git":
            uri, _ = bare_repository(folder, {"MLproject": GOOD, "data": os.urandom(200_000)})
        with zipfile.ZipFile(folder.path / "big.zip", "w") as archive:
            archive.writestr("MLproject", GOOD)
            archive.writestr("data", os.urandom(200_000))
    for size_kib in sizes_kib:
        with mounted(folder.base / "disk", f"size={size_kib}k") as disk:
            monkeypatch.setenv("PROJ_CACHE", str(disk / "cache"))
            monkeypatch.setenv("UV_CACHE_DIR", str(folder.base / "uv"))
            folder.cache = disk / "cache"
            result = folder.run("run", uri)
            refused(folder, result, code=125)
            assert "full" in result.stderr or "No space left" in result.stderr, result
            resize(disk, "40m")
            assert folder.run("run", uri).code == 0
            folder.clean()


@mounts
def test_a_read_only_home_and_cache(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write({"MLproject": GOOD})
    url, _ = bare_repository(folder, {"MLproject": GOOD})
    with mounted(folder.base / "disk", "ro,size=64k") as disk:
        monkeypatch.setenv("PROJ_HOME", str(disk / "home"))
        result = folder.run("run", ".")
        assert (result.code, "Traceback" in result.stderr) == (125, False), result
        assert str(disk / "home") in result.stderr
        monkeypatch.setenv("PROJ_HOME", str(folder.home))
        monkeypatch.setenv("PROJ_CACHE", str(disk / "cache"))
        refused_without_run(folder, folder.run("run", url), str(disk / "cache"))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_git_host_that_says_nothing(folder: ProjFolder) -> None:
    with listening(accept=True) as port:
        result = folder.run("run", f"http://127.0.0.1:{port}/team/repo.git")
    refused_without_run(folder, result, f"127.0.0.1:{port}")


# --- containers ---------------------------------------------------------------------------------------

BOXED = "name: boxed\ndocker_env: {image: nobody/has-this:1}\nentry_points:\n  main: {command: 'true'}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-A", "cpus=-1"], "The docker argument cpus=-1: it needs a number of CPUs"),
        (["-A", "tmpfs"], "The docker argument tmpfs: it needs a value"),
        (["-A", "p=99999:1"], "there is no port 99999"),
        (["-A", "v=data/in:/in"], "neither an absolute path nor a volume's name"),
        (["-A", "gpu=all"], "The docker argument 'gpu' is not known"),
        (["--base-image", "other:1"], "this one runs in nobody/has-this:1"),
    ],
)
def test_what_no_container_can_be_given(
    folder: ProjFolder, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of an engine: there is none at that address."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    folder.write({"MLproject": BOXED})
    found = folder.run("run", ".", *words)
    refused_without_run(folder, found, said, code=2)
    assert "/nowhere/docker.sock" not in found.stderr
