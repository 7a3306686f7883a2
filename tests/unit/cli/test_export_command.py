from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archives import allow, contents, key
from proj.archive import open_archive
from projkit import echo_project, git

if TYPE_CHECKING:
    from projkit import ProjFolder


@pytest.fixture
def ran(folder: ProjFolder) -> ProjFolder:
    """A project after a run."""
    folder.write({"MLproject": echo_project("echo made > $PROJ_ARTIFACTS/result.txt")})
    assert folder.run("run", ".").code == 0
    return folder


def away(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as somebody who has never seen the project."""
    folder.home, folder.cache = folder.base / "home2", folder.base / "cache2"
    monkeypatch.setenv("PROJ_HOME", str(folder.home))
    monkeypatch.setenv("PROJ_CACHE", str(folder.cache))


def test_a_run_travels_as_one_file(ran: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ran
    run = folder.the_run()
    sent = folder.run("export", "latest", "-o", "../run.zip", "--json").json["data"]
    assert sent["runs"] == [
        {
            "run_id": run.run_id,
            "name": run.run_name,
            "tree": run.tags["proj.source.tree"],
            "code_is_whole": True,
            "packages": None,
        }
    ]
    away(folder, monkeypatch)
    looked = folder.run("import", "../run.zip", "--dry-run")
    assert "Would import 1 run" in looked.stdout
    assert not folder.home.exists()
    brought = folder.run("import", "../run.zip")
    assert (brought.code, "Imported 1 run" in brought.stdout) == (0, True)
    assert folder.artifact(folder.the_run(), "result.txt") == b"made\n"
    assert "already there" in folder.run("import", "../run.zip").stdout
    assert folder.run("checkout", "latest", "../code").code == 0
    assert (folder.base / "code/MLproject").read_bytes() == (folder.path / "MLproject").read_bytes()


def test_code_that_only_the_remote_has_travels_too(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write({"MLproject": echo_project("echo x"), "data/deep.txt": "content"})
    for argv in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        git(folder.path, *argv)
    git(folder.base, "clone", "-q", "--bare", str(folder.path), "remote.git")
    git(folder.path, "remote", "add", "origin", str(folder.base / "remote.git"))
    git(folder.path, "fetch", "-q", "origin")
    folder.write({"MLproject": echo_project("echo changed")})
    assert folder.run("run", ".").code == 0
    first = folder.run("export", "latest", "-o", "../run.zip")
    assert "which needs its remote" not in first.stdout
    away(folder, monkeypatch)
    for name in ("project", "remote.git"):
        (folder.base / name).rename(folder.base / f"{name}.gone")
    monkeypatch.chdir(folder.base)
    assert folder.run("import", "run.zip").code == 0
    assert folder.run("checkout", "latest", "code").code == 0
    assert "echo changed" in (folder.base / "code/MLproject").read_text()
    assert (folder.base / "code/data/deep.txt").read_text() == "content"
    assert git(folder.base / "code", "status", "--porcelain") == "M MLproject"
    assert folder.run("export", "latest", "-o", "again.zip").code == 0
    assert (folder.base / "again.zip").read_bytes() == (folder.base / "run.zip").read_bytes()


def test_code_that_cannot_be_had_is_said(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write({"MLproject": echo_project("echo x")})
    for argv in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        git(folder.path, *argv)
    git(folder.base, "clone", "-q", "--bare", str(folder.path), "remote.git")
    git(folder.path, "remote", "add", "origin", str(folder.base / "remote.git"))
    git(folder.path, "fetch", "-q", "origin")
    assert folder.run("run", ".").code == 0
    for name in ("project", "remote.git"):
        (folder.base / name).rename(folder.base / f"{name}.gone")
    monkeypatch.chdir(folder.base)
    sent = folder.run("export", "latest", "-o", "run.zip")
    assert sent.code == 0
    assert "does not hold the whole code" in sent.stderr
    assert "which needs its remote" in sent.stdout
    with open_archive(Path("run.zip")) as opened:
        source = opened.runs[0].source
    assert source is not None
    assert (source.whole, source.bundle) == (False, None)
    assert source.why_not


def test_all_of_the_code_is_there_without_its_remote(ran: ProjFolder) -> None:
    run = ran.the_run()
    ran.run("export", "latest", "-o", "../run.zip")
    with open_archive(Path("../run.zip")) as opened:
        source = opened.run(run.run_id).source
        assert source is not None
        assert source.whole
        assert source.bundle is not None
        assert opened.read(source.bundle).startswith(b"# v")
        assert opened.packages(run.run_id, ran.base / "pieces") is None


def test_signatures_on_the_command_line(ran: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ran
    alice = key(folder.base, "alice")
    allowed = allow(folder.base, alice=alice)
    assert "signed" in folder.run("export", "latest", "-o", "run.zip", f"--sign={alice}").stdout
    away(folder, monkeypatch)
    told = folder.run("import", "run.zip", f"--verify-signature={allowed}")
    assert "Signed by alice, key SHA256:" in told.stdout
    assert "--verify-signature checks by whom" in folder.run("import", "run.zip").stdout
    stranger = allow(folder.base, bob=key(folder.base, "bob"))
    refused = folder.run("import", "run.zip", f"--verify-signature={stranger}")
    assert (refused.code, "does not name" in refused.stderr) == (125, True)


def test_nothing_of_a_damaged_archive_is_recorded(ran: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ran
    folder.run("export", "latest", "-o", "run.zip")
    path = folder.path / "run.zip"
    content = bytearray(path.read_bytes())
    content[content.index(b"made\n")] ^= 1
    path.write_bytes(content)
    away(folder, monkeypatch)
    refused = folder.run("import", "run.zip")
    assert refused.code == 125
    assert "artifacts/result.txt is damaged" in refused.stderr
    assert not folder.home.exists()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["export", "nothing", "-o", "x.zip"], "nothing"),
        (["export", "latest"], "-o"),
        (["import", "missing.zip"], "does not say what kind of records"),
        (["import", "MLproject"], "no file's header"),
        (["import", "MLproject", "--no-artifacts"], "for mlflow:SOURCE alone"),
        (["import", "mlflow:x", "--verify-signature=y"], "is for a file"),
    ],
)
def test_what_cannot_be_meant_is_said(ran: ProjFolder, argv: list[str], says: str) -> None:
    result = ran.run(*argv)
    assert result.code in (2, 125)
    assert says in result.stderr
    assert not (ran.path / "x.zip").exists()


def test_the_record_on_a_server_takes_in_nothing(ran: ProjFolder) -> None:
    ran.run("export", "latest", "-o", "run.zip")
    refused = ran.run("--tracking-uri", "http://127.0.0.1:9", "import", "run.zip")
    assert (refused.code, "is a server" in refused.stderr) == (2, True)


def test_ten_runs_of_a_tree_share_its_bundle(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo x")})
    for argv in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        git(folder.path, *argv)
    git(folder.base, "clone", "-q", "--bare", str(folder.path), "remote.git")
    git(folder.path, "remote", "add", "origin", str(folder.base / "remote.git"))
    git(folder.path, "fetch", "-q", "origin")
    for _ in range(2):
        assert folder.run("run", ".").code == 0
    ids = [run.run_id for run in folder.runs()]
    assert folder.run("export", *ids, "-o", "../runs.zip").code == 0
    bundles = [name for name in contents(folder.base / "runs.zip") if name.endswith(".bundle")]
    assert len(bundles) == 1
