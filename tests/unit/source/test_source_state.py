from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from proj import process
from proj.source import git_state
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from proj import events


def test_a_clean_tree(repo: Repo) -> None:
    state = git_state(repo.path / "sub")
    assert state is not None
    assert state.root == repo.path
    assert state.commit == repo.git("rev-parse", "HEAD")
    assert state.committed_at_s == int(repo.git("log", "-1", "--format=%ct"))
    assert (state.branch, state.repository_url, state.dirty) == ("main", None, False)


def test_every_kind_of_change_is_listed_and_nothing_is_written(repo: Repo) -> None:
    repo.commit("moved", "content that git would take for a rename\n")
    repo.commit(".gitignore", "*.log\n")
    repo.write("sub/train.py", "changed\n")
    repo.write("staged é\n", "new\n")
    repo.git("add", "staged é\n")
    repo.git("mv", "moved", "there")
    repo.write("new/a b", "untracked\n")
    repo.write("x.log", "ignored\n")
    os.utime(repo.path / "MLproject")  # an unchanged file whose time git would want to refresh in the index
    before = fingerprint(repo.path)
    state = git_state(repo.path)
    assert state is not None
    assert state.changed_files == ("moved", "new/a b", "staged é\n", "sub/train.py", "there")
    assert fingerprint(repo.path) == before


def test_a_name_that_is_not_utf8_fits_into_json(repo: Repo) -> None:
    (repo.path / os.fsdecode(b"caf\xe9")).touch()
    state = git_state(repo.path)
    assert state is not None
    assert state.changed_files == ("caf\\xe9",)


def test_unborn_detached_conflicted_and_worktree(tmp_path: Path, repo: Repo) -> None:
    unborn = Repo(tmp_path / "unborn")
    unborn.write("a", "")
    state = git_state(unborn.path)
    assert state is not None
    assert (state.commit, state.committed_at_s, state.branch, state.changed_files) == (
        None,
        None,
        "main",
        ("a",),
    )

    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), "v1")
    state = git_state(tmp_path / "tree" / "sub")
    assert state is not None
    assert (state.root, state.branch, state.commit) == (
        tmp_path / "tree",
        None,
        repo.git("rev-parse", "v1^{}"),
    )

    repo.git("checkout", "--quiet", "-b", "other", "v1")
    repo.commit("sub/train.py", "print(3)\n")
    process.run(("git", "merge", "main"), cwd=repo.path, check=False)
    state = git_state(repo.path)
    assert state is not None
    assert state.changed_files == ("sub/train.py",)


def test_a_dirty_submodule_is_a_change(tmp_path: Path, repo: Repo) -> None:
    other = Repo(tmp_path / "other")
    other.commit()
    repo.git("submodule", "--quiet", "add", str(other.path), "lib")
    repo.git("commit", "--quiet", "-m", "lib")
    (repo.path / "lib" / "MLproject").write_text("changed", "utf-8")
    state = git_state(repo.path)
    assert state is not None
    assert state.changed_files == ("lib",)
    inside = git_state(repo.path / "lib")
    assert inside is not None
    assert inside.root == repo.path / "lib"
    assert inside.repository_url == str(other.path)


@pytest.mark.parametrize(
    "configure",
    [
        ("remote.origin.url", "https://ada:s3cr3t@host/iris"),
        ("remote.origin.url", 'https://ada:s3cr3t@host/iris"quoted'),
        ("include.path", "more"),
    ],
)
def test_the_remote_is_shown_without_credentials(repo: Repo, configure: tuple[str, str]) -> None:
    (repo.path / ".git/more").write_text('[remote "origin"]\nurl = https://ada:s3cr3t@host/iris\n', "utf-8")
    repo.git("config", *configure)
    state = git_state(repo.path)
    assert state is not None
    assert state.repository_url is not None
    assert state.repository_url.startswith("https://host/iris")


def test_the_branchs_own_remote_goes_before_origin(repo: Repo) -> None:
    repo.git("remote", "add", "origin", "https://host/a")
    repo.git("remote", "add", "fork", "https://host/b")
    state = git_state(repo.path)
    assert state is not None
    assert state.repository_url == "https://host/a"
    repo.git("update-ref", "refs/remotes/fork/main", "HEAD")
    repo.git("branch", "--quiet", "--set-upstream-to", "fork/main")
    state = git_state(repo.path)
    assert state is not None
    assert state.repository_url == "https://host/b"


def test_a_git_that_the_caller_redirects_is_not_followed(
    tmp_path: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repo(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    state = git_state(repo.path)
    monkeypatch.undo()
    assert state is not None
    assert state.commit == repo.git("rev-parse", "HEAD")


def test_no_repository_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert git_state(tmp_path) is None


def test_without_git_the_run_goes_on(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, said: list[events.Event]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_state(repo.path) is None
    assert [event.kind for event in said] == ["note"]


def test_a_damaged_repository_is_a_warning(repo: Repo, said: list[events.Event]) -> None:
    shutil.rmtree(repo.path / ".git/objects")
    assert git_state(repo.path) is None
    assert "cannot read" in said[0].message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a repository away")
def test_a_repository_of_another_user_is_a_warning(repo: Repo, said: list[events.Event]) -> None:
    for path in (repo.path, repo.path / ".git"):
        os.chown(path, 12345, 12345)
    assert git_state(repo.path) is None
    assert "safe.directory" in said[0].message
