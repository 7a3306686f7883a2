from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj import paths, process, source
from proj.errors import SourceError
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_runs_in_place(tmp_path: Path) -> None:
    (tmp_path / "a" / "b.c").mkdir(parents=True)
    checkout = source.fetch("a#./b.c", cwd=tmp_path)
    assert checkout.kind == "local"
    assert (checkout.root, checkout.project_dir) == (tmp_path / "a", tmp_path / "a" / "b.c")
    assert (checkout.subdir, checkout.git, checkout.private) == ("b.c", None, False)
    source.release(checkout)
    assert checkout.project_dir.is_dir()


def test_a_folder_of_a_repository_knows_its_top(repo: Repo) -> None:
    checkout = source.fetch("sub", cwd=repo.path)
    assert (checkout.root, checkout.project_dir, checkout.subdir) == (repo.path, repo.path / "sub", "sub")
    assert checkout.git is not None
    assert checkout.git.commit == repo.git("rev-parse", "HEAD")
    assert not paths.cache().exists()


def test_links_into_a_repository_lead_to_it(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    other.commit("a", "1\n")
    for link in (tmp_path / "link", other.path / "link"):
        link.symlink_to(repo.path / "sub")
        checkout = source.fetch(str(link), cwd=tmp_path)
        assert (checkout.root, checkout.project_dir, checkout.subdir) == (repo.path, repo.path / "sub", "sub")
        assert checkout.git is not None
        assert checkout.git.commit == repo.git("rev-parse", "HEAD")
        assert source.fetch(str(link), version="v1", cwd=tmp_path).subdir == "sub"
    within = repo.path / "within"
    within.symlink_to("sub")
    assert source.fetch(str(within), cwd=tmp_path).subdir == "within"


@pytest.mark.parametrize(
    ("version", "content", "branch"),
    [
        ("v1", "print(1)\n", None),
        ("HEAD~1", "print(1)\n", None),
        ("main", "print(2)\n", "main"),
        ("HEAD", "print(2)\n", "main"),
        ("origin/old", "print(1)\n", None),
        ("main^", "print(1)\n", None),
    ],
)
def test_a_version_of_a_local_repository(repo: Repo, version: str, content: str, branch: str | None) -> None:
    repo.git("remote", "add", "origin", "https://ada:s3cr3t@host/flowers/iris.git")
    repo.git("update-ref", "refs/remotes/origin/old", "v1^{}")
    repo.write("sub/train.py", "uncommitted\n")
    repo.write("MLproject", "staged\n")
    repo.git("add", "MLproject")
    repo.write("untracked", "x\n")
    before = fingerprint(repo.path)
    checkout = source.fetch(".", version=version, cwd=repo.path / "sub")
    assert fingerprint(repo.path) == before
    assert checkout.private
    assert checkout.project_dir == checkout.root / "sub"
    assert (checkout.root / "sub/train.py").read_text("utf-8") == content
    assert (checkout.root / "MLproject").read_text("utf-8") == "name: x\n"
    assert not (checkout.root / "untracked").exists()
    assert checkout.git is not None
    assert checkout.git.commit == repo.git("rev-parse", f"{version}^{{commit}}")
    assert (checkout.git.branch, checkout.git.dirty) == (branch, False)
    assert checkout.git.repository_url == "https://host/flowers/iris.git"
    source.release(checkout)
    source.release(checkout)
    assert not checkout.root.exists()
    assert list((paths.cache() / "checkouts").iterdir()) == []
    assert fingerprint(repo.path) == before


def test_scripts_can_ask_git_in_a_private_checkout(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    checkout = source.fetch(str(repo.path), version=head[:8], cwd=repo.path)

    def git(*args: str) -> str:
        return process.run(("git", *args), cwd=checkout.root).stdout.strip()

    assert git("rev-parse", "HEAD") == head
    assert git("describe") == repo.git("describe")
    assert git("log", "--format=%H") == repo.git("log", "--format=%H")
    assert git("status", "--porcelain") == ""
    assert git("config", "remote.origin.url") == str(repo.path)
    state = source.git_state(checkout.root)
    assert state is not None
    assert not state.dirty
    before = fingerprint(repo.path)
    git("commit", "--quiet", "--allow-empty", "--message", "made by a script")
    assert fingerprint(repo.path) == before
    source.release(checkout)


def test_hooks_of_the_user_do_not_run(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    hook = tmp_path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n", "utf-8")
    hook.chmod(0o755)
    config.write_text(f"[core]\nhooksPath = {hook.parent}\n", "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    source.release(source.fetch(str(repo.path), version="v1", cwd=tmp_path))
    assert not (tmp_path / "ran").exists()


def test_a_bare_repository_and_a_git_url_of_a_folder(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    repo.write("sub/train.py", "uncommitted\n")
    bare, url = str(tmp_path / "bare.git"), f"git+file://{repo.path}"
    for uri, version, content in (
        (bare, None, "print(2)\n"),
        (f"file://{bare}#sub", "v1", "print(1)\n"),
        (url, None, "print(2)\n"),
    ):
        checkout = source.fetch(uri, version=version, cwd=tmp_path)
        assert checkout.kind == "git"
        assert (checkout.root / "sub/train.py").read_text("utf-8") == content
        source.release(checkout)


def test_a_shallow_clone_and_a_worktree_have_versions_too(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), "v1")
    shallow = source.fetch(str(tmp_path / "shallow"), version="main", cwd=tmp_path)
    assert process.run(("git", "log", "--format=%s"), cwd=shallow.root).stdout == "Change sub/train.py\n"
    tree = source.fetch("tree", version="HEAD", cwd=tmp_path)
    assert (tree.root / "sub/train.py").read_text("utf-8") == "print(1)\n"
    source.release(shallow)
    source.release(tree)


def test_sha256_repositories(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for command in (
        ("init", "--quiet", "--object-format=sha256"),
        ("commit", "--quiet", "--allow-empty", "--message", "x"),
    ):
        process.run(("git", *command), cwd=tmp_path / "r")
    checkout = source.fetch("r", version="HEAD", cwd=tmp_path)
    assert checkout.git is not None
    assert len(str(checkout.git.commit)) == 64
    assert process.run(("git", "status", "--porcelain"), cwd=checkout.root).stdout == ""
    source.release(checkout)


@pytest.mark.parametrize(
    ("uri", "version", "message", "hint"),
    [
        (".", "mian", "No revision 'mian'", "Did you mean 'main'?"),
        (".", "0000000", "No revision '0000000'", "v1"),
        (".", "--upload-pack=x", "Not a revision", "dash"),
        (".#nowhere", "v1", "No folder 'nowhere'", "Its top has: sub."),
        (".#nowhere", None, "No folder 'nowhere'", "Its top has: sub."),
        ("..", "v1", "in no git repository", "Leave -v out"),
    ],
)
def test_what_is_not_there(repo: Repo, uri: str, version: str | None, message: str, hint: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        source.fetch(uri, version=version, cwd=repo.path)
    assert hint in str(caught.value.hint)
    assert not list((paths.cache() / "checkouts").glob("*"))


def test_an_ambiguous_commit_lists_the_candidates(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    stream = "".join(
        f"commit refs/heads/main\ncommitter a <a@b> {n} +0000\ndata 0\n\n" for n in range(1, 700)
    )
    process.run(("git", "fast-import", "--quiet"), cwd=repo.path, stdin=stream)
    hashes = repo.git("rev-list", "main").split()
    prefixes = [each[:4] for each in hashes]
    twice = next(each for each in prefixes if prefixes.count(each) > 1)
    with pytest.raises(SourceError) as caught:
        source.fetch("r", version=twice, cwd=tmp_path)
    candidates = [each for each in hashes if each.startswith(twice)]
    assert all(each in str(caught.value.hint) for each in candidates)


def test_no_permission_is_told(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("PROJ_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SourceError, match="Cannot create"):
        source.fetch(".", version="v1", cwd=repo.path)
