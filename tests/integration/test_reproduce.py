"""Runs are made again from their records, and checked to be the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import proj
from clients import NEWEST
from environment_kit import write_wheel
from index_server import IndexServer
from proj import inputs, record, runner
from proj.environments.interpreters import find_interpreters
from proj.planning import RunRequest, planned
from projkit import PROJ, bare_repository, echo_project, git, wheel
from remote_server import RestartableServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from projkit import ProjFolder, Result

CAUSES = ("code", "packages", "parameters", "inputs", "variables", "interpreter", "image", "command")
DRAW = """
import os, random, sys
from pathlib import Path

import tiny

random.seed(7)
data, points = sys.argv[1:]
drawn = [random.random() for _ in range(int(points))]
drawn.append(hash("text") % 1000)
print("total:", sum(drawn) + len(Path(data).read_text()) + float(tiny.version))
Path(os.environ["PROJ_ARTIFACTS"], "drawn.txt").write_text(repr(drawn))
"""
PROJECT = {
    "MLproject": """
name: seeded
python_env: python_env.yaml
entry_points:
  main:
    parameters: {data: path, points: {type: int, default: 5}}
    command: python draw.py {data} {points}
proj: {metrics: stdout}
""",
    "python_env.yaml": 'python: "{python}"\nbuild_dependencies: [tiny]\ndependencies: [tiny]\n',
    "draw.py": DRAW,
}


@pytest.fixture
def links(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that packages come from."""
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")) and name not in ("UV_OFFLINE", "PIP_NO_INDEX"):
            monkeypatch.delenv(name)
    made = folder.base / "links"
    made.mkdir()
    write_wheel(made, "tiny", "1.0")
    write_wheel(made, "setuptools", "80.0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(made))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_CACHE_DIR", str(folder.base / "uv-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.base / "config"))
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    return made


@pytest.fixture
def seeded(folder: ProjFolder, links: Path) -> ProjFolder:
    """A project whose runs all come out the same; its input is beside it."""
    assert links.is_dir()
    current = ".".join(map(str, sys.version_info[:2]))
    write = {name: text.replace("{python}", current) for name, text in PROJECT.items()}
    folder.write({**write, "../data.txt": "12345\n"})
    return folder


def ran(folder: ProjFolder, *options: str) -> str:
    done = folder.run("run", ".", "-P", "data=../data.txt", *options)
    assert done.code == 0, done
    return folder.runs()[0].run_id


def rows(done: Result) -> dict[str, dict[str, Any]]:
    """What is not the same: `group/item` -> row."""
    found = done.json["data"]["rows"]
    return {f"{row['group']}/{row['item']}": row for row in found if row["status"] != "same"}


def verified(folder: ProjFolder, *options: str) -> Result:
    return folder.run("reproduce", "latest", "--verify", "--json", *options)


def test_a_seeded_project_comes_out_the_same(seeded: ProjFolder) -> None:
    original = ran(seeded)
    done = seeded.run("reproduce", original[:8], "--verify")
    assert (done.code, "came out the same as" in done.stdout) == (0, True), done
    again = seeded.runs()[0]
    assert again.tags[record.TAG_REPRODUCES] == original
    assert again.tags[record.TAG_REUSE] == seeded.runs()[1].tags[record.TAG_REUSE]
    assert again.experiment_id == seeded.runs()[1].experiment_id
    assert again.params == seeded.runs()[1].params
    assert rows(verified(seeded)) == {}
    seeded.clean()


def test_each_cause_alone_makes_its_own_row_different(
    seeded: ProjFolder, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ran(seeded)

    def causes(*options: str) -> set[str]:
        other = ran(seeded, *options)
        done = seeded.run("diff", original, other, "--json", "--exit-code")
        assert done.code == 1
        return {name for name in rows(done) if name.partition("/")[0] in CAUSES}

    assert causes("-P", "points=6") == {"parameters/points"}
    seeded.write({"../data.txt": "12346\n"})
    assert causes() == {"inputs/data"}
    seeded.write({"../data.txt": "12345\n", "draw.py": DRAW + "\n"})
    assert causes() == {"code/tree"}
    seeded.write({"draw.py": DRAW})
    monkeypatch.delenv("PYTHONHASHSEED")
    assert causes() == {"variables/PYTHONHASHSEED"}
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    write_wheel(links, "tiny", "2.0")
    assert causes("--upgrade") == {"packages/tiny"}


def test_what_is_around_it_now_does_not_change_it(
    seeded: ProjFolder, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ran(seeded)
    write_wheel(links, "tiny", "2.0")
    seeded.write({"draw.py": "raise SystemExit(1)\n", "python_env.yaml": "dependencies: [tiny==2.0]\n"})
    monkeypatch.delenv("PYTHONHASHSEED")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    shutil.rmtree(seeded.cache)
    done = seeded.run("reproduce", original, "--verify", "--json")
    assert (done.code, rows(done)) == (0, {})


def test_without_a_seed_only_what_came_out_is_different(seeded: ProjFolder) -> None:
    seeded.write({"draw.py": DRAW.replace("random.seed(7)\n", "")})
    ran(seeded)
    done = verified(seeded)
    assert (done.code, set(rows(done))) == (1, {"metrics/total", "artifacts/drawn.txt"})
    done = verified(seeded, "--atol", "100", "--ignore", "drawn.*")
    assert (done.code, rows(done), done.json["data"]["ignored"]) == (0, {}, ["drawn.txt"])


def another_python() -> str:
    """Another patch version of this Python if there is one, else the version that is nearest."""
    here = sys.version_info[:3]
    found = [each for each in find_interpreters(remember=False) if each.version[:2] > (3, 9)]
    others = [each for each in found if each.version != here]
    assert others, "another Python is needed, of any version from 3.10"
    return min(others, key=lambda each: (abs(each.version[1] - here[1]), each.version)).version_text


def test_another_version_of_python_is_a_difference(seeded: ProjFolder) -> None:
    # how texts are hashed differs from version to version
    seeded.write({"draw.py": DRAW.replace('drawn.append(hash("text") % 1000)\n', "")})
    ran(seeded)
    other = another_python()
    if not other.startswith(f"3.{sys.version_info[1]}."):  # the lock is for this minor version
        assert seeded.run("reproduce", "latest", "--python", other).code == 125
        return
    done = verified(seeded, "--python", other)
    assert done.code == 1
    assert {name for name, row in rows(done).items() if row["required"]} == {"interpreter/python"}


def test_a_python_that_the_lock_has_no_packages_for_is_refused(seeded: ProjFolder) -> None:
    original = ran(seeded)
    here = sys.version_info[1]
    others = {each.version[1] for each in find_interpreters(remember=False)} - {here}
    other = f"3.{max(others)}"
    done = seeded.run("reproduce", original, "--python", other)
    assert (done.code, len(seeded.runs())) == (125, 1), done
    chosen = re.search(rf"the recorded lock were chosen for Python (\S*3\.{here}(?:\.\*)?)\.", done.stderr)
    assert chosen is not None, done
    if chosen[1] == f"3.{here}.*":  # and not all versions from it on
        assert f"--python 3.{here} takes any patch of it" in done.stderr
    assert "  packages: " not in done.stderr  # of which nothing is known then
    assert seeded.run("reproduce", original, "--python", f"3.{here}").code == 0
    done = seeded.run("reproduce", original, "--python", "newest")
    assert "-> Write a version such as 3.11" in done.stderr, done


def test_a_python_that_cannot_be_chosen_is_refused(folder: ProjFolder) -> None:
    folder.write({"MLproject": "entry_points: {main: {command: echo hello}}\n"})
    assert folder.run("run", ".").code == 0
    done = folder.run("reproduce", "latest", "--python", "3.5")
    assert (done.code, len(folder.runs())) == (125, 1), done
    assert "--python asks for 3.5, and the run's Python" in done.stderr


@pytest.fixture
def index(seeded: ProjFolder, links: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """The same packages, from an index."""
    assert seeded.path.is_dir()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_OFFLINE"):
        monkeypatch.delenv(name)
    server = IndexServer(links, None)
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    yield server
    server.close()


def test_it_is_made_again_offline_from_the_cache(seeded: ProjFolder, index: IndexServer) -> None:
    original = ran(seeded)
    index.asked.clear()
    shutil.rmtree(seeded.cache)
    done = seeded.run("reproduce", original, "--verify", "--offline", "--json")
    assert (done.code, rows(done), index.asked) == (0, {}, [])
    shutil.rmtree(seeded.cache)
    shutil.rmtree(seeded.base / "uv-cache")
    done = seeded.run("reproduce", original, "--offline")
    assert (done.code, "  packages: " in done.stderr) == (125, True), done
    assert "-> Not all of it is in the cache. Run once without --offline." in done.stderr
    assert len(seeded.runs()) == 2


def test_packages_that_left_the_index_are_said(seeded: ProjFolder, links: Path, index: IndexServer) -> None:
    assert index.url
    original = ran(seeded)
    shutil.rmtree(seeded.cache)
    shutil.rmtree(seeded.base / "uv-cache")
    content = (links / "tiny-1.0-py3-none-any.whl").read_bytes()
    (links / "tiny-1.0-py3-none-any.whl").unlink()
    write_wheel(links, "tiny", "2.0")
    done = seeded.run("reproduce", original)
    assert (done.code, "  packages: " in done.stderr, "tiny" in done.stderr) == (125, True, True), done
    (links / "tiny-1.0-py3-none-any.whl").write_bytes(wheel("tiny", "1.0", padding_bytes=1))
    done = seeded.run("reproduce", original)
    assert (done.code, "ash mismatch" in done.stderr) == (125, True), done
    (links / "tiny-1.0-py3-none-any.whl").write_bytes(content)
    assert seeded.run("reproduce", original, "--verify").code == 0


def test_the_input_may_have_moved(seeded: ProjFolder) -> None:
    original = ran(seeded)
    (seeded.base / "data.txt").rename(seeded.base / "moved.txt")
    done = seeded.run("reproduce", original, "--verify", "--json", "--input", "data=../moved.txt")
    assert (done.code, rows(done)) == (0, {})
    assert seeded.runs()[0].params["data"] == "../moved.txt"


def test_an_input_in_the_code_comes_from_there(folder: ProjFolder) -> None:
    project = "entry_points: {main: {parameters: {data: path}, command: 'cat {data}'}}\n"
    folder.write({"MLproject": project, "sub/data.txt": "kept\n"})
    assert folder.run("run", ".", "-P", "data=sub/data.txt").code == 0
    folder.write({"sub/data.txt": "changed\n"})
    done = folder.run("reproduce", "latest", "--verify", "--require", "stdout")
    assert (done.code, "kept\n" in done.stdout) == (0, True), done


def test_an_input_without_a_hash_is_what_the_run_has_read(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_BYTES", 3)
    project = "entry_points: {main: {parameters: {data: path}, command: 'cat {data}/*'}}\n"
    files = {"data/a": "kept\n", "data/b": "ignored\n"}
    folder.write({"MLproject": project, ".gitignore": "b\n", **files})
    git(folder.path, "init", "-q", "-b", "main")
    git(folder.path, "add", ".")
    git(folder.path, "commit", "-q", "-m", "first")
    assert folder.run("run", ".", "-P", "data=data").code == 0
    original = folder.the_run().run_id
    done = folder.run("reproduce", original)
    assert (done.code, done.stdout) == (0, "kept\nignored\n"), done
    assert "a folder of 2 files, of 13 bytes, as it was; more is not known" in done.stderr
    folder.write({"data/b": "longer than it was\n"})
    done = folder.run("reproduce", original)
    said = "has changed: it is a folder of 2 files, of 24 bytes, and was a folder of 2 files, of 13 bytes"
    assert (done.code, said in done.stderr) == (125, True), done
    folder.write({"../copy/a": "kept\n", "../copy/b": "ignored\n"})
    assert folder.run("reproduce", original, "--input", "data=../copy").code == 0


def test_an_input_of_which_nothing_is_known_has_to_be_named(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_FILES", 1)
    project = "entry_points: {main: {parameters: {data: path}, command: 'cat {data}/*'}}\n"
    folder.write({"MLproject": project, "data/a": "kept\n", "data/b": "kept\n"})
    assert folder.run("run", ".", "-P", "data=data").code == 0
    done = folder.run("reproduce", "latest")
    assert (done.code, "cannot be told from another" in done.stderr) == (125, True), done
    done = folder.run("reproduce", "latest", "--input", "data=data")
    assert (done.code, "Whether it is the same is not known" in done.stderr) == (0, True), done


def test_a_folder_that_the_run_filled_is_said_to_have_been_empty(folder: ProjFolder) -> None:
    project = "entry_points: {main: {parameters: {out: path}, command: 'touch {out}/made'}}\n"
    folder.write({"MLproject": project})
    for name in ("out", "other"):
        (folder.base / name).mkdir()
    assert folder.run("run", ".", "-P", "out=../out").code == 0
    done = folder.run("reproduce", "latest")
    assert (done.code, "It was an empty folder when the run began" in done.stderr) == (125, True), done
    assert folder.run("reproduce", "latest", "--input", "out=../other").code == 0
    assert (folder.base / "other/made").exists()


def test_all_that_is_missing_is_said_before_anything_starts(seeded: ProjFolder, links: Path) -> None:
    original = ran(seeded)
    shutil.rmtree(seeded.cache)
    shutil.rmtree(seeded.base / "uv-cache")
    (links / "tiny-1.0-py3-none-any.whl").unlink()
    seeded.write({"../data.txt": "changed\n"})
    done = seeded.run("reproduce", original)
    assert done.code == 125
    for said in ("  packages: ", "tiny", "data.txt, the input data, has changed"):
        assert said in done.stderr, done
    done = seeded.run("reproduce", original, "--python", "3.5.1", "--input", "other=x")
    assert done.code == 125
    for said in ("data.txt, the input data, has changed", "other is no input", "Python 3.5.1"):
        assert said in done.stderr, done
    (seeded.base / "data.txt").unlink()
    assert "data.txt, the input data, is not there" in seeded.run("reproduce", original).stderr
    assert len(seeded.runs()) == 1
    seeded.clean()


def test_content_of_large_files_that_cannot_be_had_is_said(folder: ProjFolder) -> None:
    content = b"big" * 1000
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
    pointer = pointer.format(hashlib.sha256(content).hexdigest(), len(content))
    files = {
        "MLproject": echo_project("wc -c m.bin"),
        ".gitattributes": "*.bin filter=lfs\n",
        "m.bin": pointer,
    }
    bare_repository(folder, files)
    git(folder.base, "clone", "-q", "bare.git", "cloned")
    clone = folder.base / "cloned"
    assert folder.run("run", str(clone), "--reuse").code == 0
    (clone / "m.bin").write_bytes(content)
    done = folder.run("run", str(clone), "--reuse")
    assert (done.code, done.stdout.split()[:1]) == (0, ["3000"]), done
    done = folder.run("reproduce", "latest", "--verify")
    assert (done.code, "  code: " in done.stderr, "LFS" in done.stderr) == (125, True, True), done


def test_a_commit_that_is_gone_is_said_and_can_be_had_elsewhere(folder: ProjFolder) -> None:
    _, commit = bare_repository(folder, {"MLproject": echo_project("echo hello")})
    git(folder.base, "clone", "-q", "bare.git", "cloned")
    assert folder.run("run", str(folder.base / "cloned")).code == 0
    assert folder.run("reproduce", "latest", "-q").code == 0
    (folder.base / "bare.git").rename(folder.base / "moved.git")
    assert folder.run("reproduce", "latest", "-q").code == 0
    shutil.rmtree(folder.cache)
    done = folder.run("reproduce", "latest")
    assert (done.code, "  code: " in done.stderr, "--remote" in done.stderr) == (125, True, True), done
    done = folder.run("reproduce", "latest", "--verify", "--remote", str(folder.base / "moved.git"))
    assert done.code == 0, done
    assert folder.run("reproduce", "latest", "-q", "--remote", "../moved.git").code == 0
    assert folder.runs()[0].tags["mlflow.source.git.commit"] == commit
    folder.clean()


def test_uncommitted_changes_are_made_again(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("cat data.txt"), "data.txt": "committed\n"})
    git(folder.path, "init", "-q", "-b", "main")
    git(folder.path, "add", ".")
    git(folder.path, "commit", "-q", "-m", "first")
    folder.write({"data.txt": "changed\n"})
    assert folder.run("run", ".").code == 0
    folder.write({"data.txt": "changed again\n"})
    done = folder.run("reproduce", "latest", "--verify", "--stdout")
    assert (done.code, done.stdout.startswith("changed\n")) == (0, True), done
    # a reproduction is a run like any other: from its record it is made again as well
    done = folder.run("reproduce", "latest", "../there", "--verify")
    assert done.code == 0
    assert (folder.base / "there/data.txt").read_text() == "changed\n"
    folder.clean()


def test_a_dry_run_starts_and_records_nothing(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo hello")})
    assert folder.run("run", ".").code == 0
    done = folder.run("reproduce", "latest", "--dry-run", "--json")
    assert (done.code, done.json["data"]["command"]) == (0, "echo hello")
    assert "All of it can be had" in folder.run("reproduce", "latest", "--dry-run").stdout
    assert len(folder.runs()) == 1
    folder.clean()


def test_runs_within_are_made_again_as_well(folder: ProjFolder) -> None:
    step = f"{shlex.quote(PROJ)} run . -e step --reuse"
    folder.write({
        "MLproject": f"""
entry_points:
  main: {{command: {json.dumps(step)}}}
  step: {{command: "head -c 16 /dev/urandom | od -An -tx1 > $PROJ_ARTIFACTS/drawn"}}
"""
    })  # fmt: skip
    assert folder.run("run", ".").code == 0
    assert folder.run("run", ".").code == 0
    assert len(folder.runs()) == 3, "the step was reused"
    assert folder.run("reproduce", "latest").code == 0
    entry_points = [run.tags["mlflow.project.entryPoint"] for run in folder.runs()[:2]]
    assert sorted(entry_points) == ["main", "step"]
    folder.clean()


@pytest.fixture
def secretive(folder: ProjFolder) -> ProjFolder:
    """A project that reads a file which is not kept with its run."""
    folder.write({"MLproject": echo_project("cat .env || true"), "code.txt": "1\n"})
    git(folder.path, "init", "-q", "-b", "main")
    git(folder.path, "add", ".")
    git(folder.path, "commit", "-q", "-m", "first")
    folder.write({".env": "A=1\n", "code.txt": "2\n"})
    assert folder.run("run", ".").code == 0
    return folder


def test_what_was_left_out_is_not_said_to_be_the_same(secretive: ProjFolder) -> None:
    done = verified(secretive)
    assert (done.code, set(rows(done))) == (1, {"code/left out", "code/uncommitted"})
    found = rows(done)["code/left out"]
    assert (found["status"], found["left"][:4], found["required"]) == ("not comparable", ".env", True)
    assert "was not there" in found["right"]
    secretive.clean()


def test_what_to_do_next_is_said(secretive: ProjFolder) -> None:
    original = secretive.the_run().run_id
    said = secretive.run("reproduce", original, "--verify").stdout
    assert "once .gitignore or .projignore names them" in said
    assert "proj diff" not in said, "it would say no more"
    secretive.write({".gitignore": ".env\n"})
    assert secretive.run("run", ".").code == 0
    assert secretive.run("reproduce", "latest", "--verify").code == 0


def test_where_more_is_told_of_a_difference_is_said(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("head -c 16 /dev/urandom > $PROJ_ARTIFACTS/drawn")})
    assert folder.run("run", ".").code == 0
    original = folder.the_run().run_id
    said = folder.run("reproduce", original, "--verify").stdout
    again = folder.runs()[0].run_id
    assert f"`proj diff {original[:8]} {again[:8]} --artifacts`" in said


def test_a_dry_run_names_what_was_left_out(secretive: ProjFolder) -> None:
    assert "Not all of it can be had: .env, not" in secretive.run("reproduce", "latest", "--dry-run").stdout
    data = secretive.run("reproduce", "latest", "--dry-run", "--json").json["data"]
    assert data["left_out"] == [".env"]


def test_the_record_says_what_the_new_run_had_to_do_without(secretive: ProjFolder) -> None:
    assert secretive.run("reproduce", "latest").code == 0
    again = secretive.runs()[0]
    assert record.TAG_REUSE not in again.tags
    with secretive.tracking() as tracking, tracking.artifacts.open(again.artifact_uri, record.SOURCE) as file:
        source = msgspec.json.decode(file.read(), type=record.SourceRecord)
    assert source.snapshot is not None
    assert [(left.path, left.absent) for left in source.snapshot.left_out] == [(".env", True)]
    assert [change.path for change in source.snapshot.changes] == ["code.txt"]
    assert source.changed_files == ("code.txt",)
    done = secretive.run("reproduce", "latest", "--verify")
    assert done.code == 0, "both had to do without it"


def test_that_proj_itself_was_installed_from_a_folder_does_not_count(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an activated environment: what the project finds there is what `proj` runs in."""
    monkeypatch.setenv("PATH", f"{os.path.dirname(PROJ)}{os.pathsep}{os.environ['PATH']}")  # noqa: PTH120  text
    folder.write({"MLproject": echo_project("echo hello")})
    assert folder.run("run", ".").code == 0
    done = folder.run("reproduce", "latest", "--verify", "--json")
    assert (done.code, rows(done)) == (0, {})
    assert "packages/proj" in {f"{row['group']}/{row['item']}" for row in done.json["data"]["rows"]}
    assert record.TAG_REUSE in folder.runs()[0].tags


def test_a_failure_that_comes_again_is_the_same(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("exit 3")})
    assert folder.run("run", ".").code == 3
    assert folder.run("reproduce", "latest").code == 3
    assert folder.run("reproduce", "latest", "--verify").code == 0


def test_the_time_limit_is_the_one_that_it_had(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project(f"test -e {folder.base}/go || exec sleep 600")})
    assert folder.run("run", ".", "--timeout", "0.2s").code == 124
    first = folder.the_run().run_id
    done = folder.run("reproduce", first, "--verify", "--json")
    assert (done.code, done.json["data"]["outcome"]["failure"]) == (0, "deadline"), done
    (folder.base / "go").touch()
    for chosen, limit_s in ("none", None), ("10m", 600.0):
        assert folder.run("reproduce", first, "--timeout", chosen).code == 0
        assert json.loads(folder.artifact(folder.runs()[0], record.COMMAND))["timeout_s"] == limit_s
    assert "time limit  0.2 s" in folder.run("diff", first, folder.runs()[0].run_id).stdout
    refused = folder.run("reproduce", first, "--timeout", "soon")
    assert (refused.code, "Not a length of time" in refused.stderr) == (2, True)


def test_a_failure_of_what_had_succeeded_is_a_difference(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project(f"test ! -e {folder.base}/stop")})
    assert folder.run("run", ".").code == 0
    (folder.base / "stop").touch()
    done = folder.run("reproduce", "latest", "--verify", "--json")
    assert (done.code, set(rows(done))) == (1, {"outcome/status", "outcome/exit code"})


def test_runs_that_say_nothing_of_how_they_were_made_are_refused(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    with folder.tracking() as tracking:
        tracking.artifacts.delete(folder.the_run().artifact_uri, "proj")
    done = folder.run("reproduce", "latest")
    assert (done.code, "how it was made is not recorded" in done.stderr) == (125, True)


def test_a_file_that_is_not_there_is_no_run(folder: ProjFolder) -> None:
    done = folder.run("reproduce", "nope.zip")
    assert (done.code != 0, "There is no file 'nope.zip'" in done.stderr) == (True, True), done


def test_the_page_for_a_merge_request_names_each_item(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo hello")})
    assert folder.run("run", ".").code == 0
    page = folder.run("reproduce", "latest", "--verify", "--md").stdout
    assert page.startswith("# `")
    assert "| same | code: tree |" in page


def test_it_works_from_python(seeded: ProjFolder) -> None:
    original = ran(seeded)
    made = proj.reproduce(original, verify=True, inputs={"data": seeded.base / "data.txt"}, quiet=True)
    assert (made.same, made.reproduces, made.run.get_status()) == (True, original, "FINISHED")
    assert proj.reproduce(original, quiet=True).same is None
    with pytest.raises(proj.ProjError, match="cannot be made again"):
        proj.reproduce(original, inputs={"data": seeded.base / "gone"})


@pytest.fixture(params=["proj", pytest.param("mlflow", marks=pytest.mark.clients)])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, client: Callable[[str], Path]
) -> Iterator[RestartableServer]:
    python = client(NEWEST) if request.param == "mlflow" else None
    made = RestartableServer(tmp_path / "server", request.param, python)
    made.start()
    yield made
    made.kill()


@pytest.mark.timeout(600)
def test_another_machine_needs_only_the_server(
    seeded: ProjFolder, server: RestartableServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
    assert seeded.run("run", ".", "-P", "data=../data.txt").code == 0
    monkeypatch.setenv("PROJ_HOME", str(seeded.base / "other-home"))
    monkeypatch.setenv("PROJ_CACHE", str(seeded.base / "other-cache"))
    shutil.rmtree(seeded.path)
    monkeypatch.chdir(seeded.base)
    done = seeded.run("reproduce", "latest", "--verify", "--json")
    assert (done.code, rows(done)) == (0, {}), done
    runs = proj.search_runs()
    assert len(runs) == 2
    assert runs[0].record().tags[record.TAG_REPRODUCES] == runs[1].run_id


def test_an_archive_with_packages_needs_no_network_and_no_records(
    seeded: ProjFolder, index: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded.write({"data.txt": "12345\n"})
    assert seeded.run("run", ".", "-P", "data=data.txt").code == 0
    done = seeded.run("export", "latest", "-o", str(seeded.base / "run.zip"), "--with-packages")
    assert done.code == 0, done
    shutil.rmtree(seeded.path)
    shutil.rmtree(seeded.base / "uv-cache")
    monkeypatch.chdir(seeded.base)
    monkeypatch.setenv("PROJ_HOME", str(seeded.base / "other-home"))
    monkeypatch.setenv("PROJ_CACHE", str(seeded.base / "other-cache"))
    index.asked.clear()
    done = seeded.run("reproduce", "run.zip", "--offline", "--verify", "--json")
    assert (done.code, rows(done), index.asked) == (0, {}, []), done
    assert done.json["data"]["reproduces"] == proj.search_runs()[1].run_id
    assert not list((seeded.base / "other-cache").glob("packages-*"))


def test_an_archive_of_several_runs_has_to_be_imported(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert [folder.run("run", ".", "--run-name", name).code for name in ("a", "b")] == [0, 0]
    assert folder.run("export", "a", "b", "-o", str(folder.base / "runs.zip")).code == 0
    done = folder.run("reproduce", "../runs.zip")
    assert (done.code, "holds 2 runs" in done.stderr) == (2, True), done


@pytest.fixture
def exported(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive of a run that ends whoever makes it again once there is a file `stop`; no records."""
    stop = folder.base / "stop"
    project = "entry_points: {main: {parameters: {data: path}, command: " + json.dumps(
        f"if test -e {stop}; then kill -9 $PPID; fi"
    )
    folder.write({"MLproject": f"{project}}}}}\n", "../data.txt": "12345\n"})
    assert folder.run("run", ".", "-P", "data=../data.txt").code == 0
    path = folder.base / "run.zip"
    assert folder.run("export", "latest", "-o", str(path)).code == 0
    monkeypatch.setenv("PROJ_HOME", str(folder.base / "other-home"))
    monkeypatch.setenv("PROJ_CACHE", str(folder.base / "other-cache"))
    return path


def test_an_archive_is_imported_only_to_be_run(folder: ProjFolder, exported: Path) -> None:
    assert folder.run("reproduce", str(exported), "--dry-run").code == 0
    assert len(proj.search_runs()) == 0
    (folder.base / "data.txt").rename(folder.base / "moved.txt")
    assert folder.run("reproduce", str(exported)).code == 125
    assert len(proj.search_runs()) == 0
    assert not list((folder.base / "other-cache/snapshots").glob(".*"))
    assert folder.run("reproduce", str(exported), "--verify", "--input", "data=../moved.txt").code == 0
    made, original = (run.record() for run in proj.search_runs())
    assert made.tags[record.TAG_REPRODUCES] == original.run_id
    assert made.experiment_id == original.experiment_id


def test_what_a_killed_reproduction_leaves_is_where_it_is_removed_later(
    folder: ProjFolder, exported: Path
) -> None:
    (folder.base / "stop").touch()
    assert folder.process("reproduce", str(exported)).code == -9
    cache = folder.base / "other-cache"
    assert not list(cache.glob("packages-*"))
    assert len(list((cache / "snapshots").glob(".*"))) == 1


def test_an_archive_needs_a_folder_to_be_imported_into(
    folder: ProjFolder, exported: Path, tmp_path: Path
) -> None:
    server = RestartableServer(tmp_path / "server", "proj", None)
    server.start()
    try:
        done = folder.run("reproduce", str(exported), "--tracking-uri", server.url)
    finally:
        server.kill()
    assert (done.code, "Name a folder with --tracking-uri" in done.stderr) == (2, True), done


def test_a_file_that_is_called_like_a_run_is_not_meant(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true"), "latest": "no archive\n"})
    assert folder.run("run", ".").code == 0
    assert folder.run("reproduce", "latest", "--dry-run").code == 0
    done = folder.run("reproduce", "./latest", "--dry-run")
    assert (done.code, "damaged" in done.stderr) == (125, True), done
    assert "no run archive at all" in done.stderr


def test_a_page_needs_a_comparison(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    for options in (("--md",), ("--rtol", "0"), ("--ignore", "*"), ("--require", "host"), ("--stdout",)):
        done = folder.run("reproduce", "latest", *options)
        assert (done.code, "Add --verify" in done.stderr) == (2, True), done
        assert options[0] in done.stderr
    assert len(folder.runs()) == 1


def test_a_plan_that_cannot_even_begin_leaves_nothing(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_repository(folder, {"MLproject": echo_project("true")})
    request = RunRequest(uri=(folder.base / "bare.git").as_uri(), env_manager="local")
    with planned(request) as plan:
        assert plan.checkout.root.is_dir()
        monkeypatch.setenv("PROJ_HOME", str(folder.path / "MLproject" / "below"))
        folder.write({"MLproject": "a file\n"})
        with pytest.raises(proj.ProjError):
            runner.run(request, plan)
        assert not plan.checkout.root.exists()


def test_a_run_that_is_stopped_does_not_wait_for_its_inputs(folder: ProjFolder) -> None:
    project = "entry_points: {main: {parameters: {data: path}, command: 'kill -INT $PPID; sleep 60'}}\n"
    folder.write({"MLproject": project})
    with (folder.base / "large").open("wb") as file:
        file.truncate(inputs.MOST_BYTES)  # reading it takes many times as long as the signal
    done = folder.process("run", ".", "-P", "data=../large")
    assert done.code != 0
    (found,) = inputs.read(folder.artifact(folder.the_run(), record.INPUTS)).inputs
    assert (found.digest, found.reason) == (None, inputs.NOT_READ), done


def test_a_record_that_leads_out_of_its_code_is_refused(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("true")})
    assert folder.run("run", ".").code == 0
    run = folder.the_run()
    altered = folder.artifact(run, record.SOURCE).replace(b'"subdir": ""', b'"subdir": "../../.."')
    with folder.tracking() as tracking:
        tracking.artifacts.write(run.artifact_uri, record.SOURCE, altered)
    done = folder.run("reproduce", "latest")
    assert (done.code, "outside of it" in done.stderr) == (125, True), done
    folder.clean()
