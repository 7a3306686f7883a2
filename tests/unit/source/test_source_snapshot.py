from __future__ import annotations

import hashlib
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from proj import events, process
from proj.errors import SourceError
from proj.source import fetch, worktree
from proj.source.ignored import ignored
from proj.source.listing import list_tree
from proj.source.snapshot import bundle_file, require_clean, take
from snapshot_kit import Kit, on_disk, pushed
from source_repositories import Repo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proj.model import Snapshot


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setenv("PROJ_CACHE", str(tmp_path / "cache"))
    return Kit(tmp_path)


@pytest.fixture
def shared(repo: Repo, tmp_path: Path) -> Repo:
    """A repository whose commits are all pushed."""
    return pushed(repo, tmp_path / "origin.git")


def kinds(snapshot: Snapshot) -> dict[str, str]:
    return {change.path: change.kind for change in snapshot.changes}


def left_out(snapshot: Snapshot) -> dict[str, tuple[str, bool]]:
    return {left.path: (left.reason, left.committed) for left in snapshot.left_out}


# --- what is stored -----------------------------------------------------------------------------------


def test_a_clean_pushed_tree_is_its_commit(kit: Kit, shared: Repo) -> None:
    taken = kit.round_trip(shared.path)
    assert taken.bundle is None
    assert taken.root.commit == shared.git("rev-parse", "HEAD")
    assert taken.root.tree == shared.git("rev-parse", "HEAD^{tree}")
    assert taken.root.branch == "main"
    assert taken.root.repository_url is not None
    assert list(kit.store.iterdir()) == []


def test_every_kind_of_change_comes_back(kit: Kit, shared: Repo) -> None:
    for name in ("moved", "gone", "mode", "staged", "both", "to link", "to folder"):
        shared.commit(name, f"{name}\n")
    shared.git("push", "--quiet")
    shared.git("mv", "moved", "there")
    (shared.path / "gone").unlink()
    (shared.path / "mode").chmod(0o755)
    shared.write("staged", "staged anew\n")
    shared.write("both", "staged anew\n")
    shared.git("add", "staged", "both")
    shared.write("both", "then changed\n")
    (shared.path / "to link").unlink()
    (shared.path / "to link").symlink_to("nowhere/at all")
    (shared.path / "to folder").unlink()
    shared.write("to folder/inner", "x")
    shared.write('new é/a\nb "q" \\ \'t', "untracked\n")
    (shared.path / os.fsdecode(b"caf\xe9\r")).write_bytes(b"\0\r\n\xff")
    shared.write(".gitignore", "*.log\n")
    shared.write("deep/.gitignore", "!keep.log\n")
    shared.write("deep/keep.log", "kept\n")
    shared.write("x.log", "ignored\n")
    taken = kit.round_trip(shared.path, without=("x.log",))
    assert taken.bundle is not None
    assert taken.bundle.prerequisites == (taken.root.commit,)
    assert taken.bundle.size_bytes < 4000
    assert kinds(taken) == {
        "moved": "deleted",
        "there": "added",
        "gone": "deleted",
        "mode": "modified",
        "staged": "modified",
        "both": "modified",
        "to link": "modified",
        "to folder": "deleted",
        "to folder/inner": "untracked",
        'new é/a\nb "q" \\ \'t': "untracked",
        "caf\\xe9\r": "untracked",
        ".gitignore": "untracked",
        "deep/.gitignore": "untracked",
        "deep/keep.log": "untracked",
    }


def test_what_is_restored_is_a_repository_with_the_same_changes(kit: Kit, shared: Repo) -> None:
    shared.write("sub/train.py", "changed\n")
    shared.write("new", "new\n")
    target = kit.restore(kit.take(shared.path))
    again = Repo(target)
    assert again.git("rev-parse", "HEAD") == shared.git("rev-parse", "HEAD")
    assert again.git("branch", "--show-current") == "main"
    assert again.git("status", "--porcelain") == shared.git("status", "--porcelain")
    assert again.git("log", "--format=%H") == shared.git("log", "--format=%H")
    assert again.git("remote", "get-url", "origin") == shared.git("remote", "get-url", "origin")
    shutil.rmtree(kit.folder / "cache")
    assert again.git("fsck", "--full") == ""


def test_commits_that_are_not_pushed_come_along(kit: Kit, shared: Repo) -> None:
    base = shared.git("rev-parse", "HEAD")
    shared.commit("one", "1\n")
    shared.git("checkout", "--quiet", "--detach")
    head = shared.commit("two", "2\n")
    taken = kit.round_trip(shared.path)
    assert taken.bundle is not None
    assert taken.bundle.prerequisites == taken.root.base_commits == (base,)
    assert (taken.root.snapshot, taken.root.branch) == (None, None)
    assert taken.root.tree == shared.git("rev-parse", "HEAD^{tree}")
    shared.write("two", "changed\n")
    target = kit.restore(kit.take(shared.path))
    assert Repo(target).git("log", "--format=%H").split()[0] == head


def test_a_bundle_holds_only_what_is_new(kit: Kit, shared: Repo) -> None:
    for number in range(20):
        (shared.path / f"big{number}").write_bytes(os.urandom(2000))
    shared.commit("one", "1\n")
    shared.git("push", "--quiet")
    shared.write("new", "new\n")
    shared.write("one", "changed\n")
    taken = kit.round_trip(shared.path)
    assert taken.bundle is not None
    assert taken.bundle.size_bytes < 1500
    shared.commit("two", "2\n")
    shared.write("one", "changed again\n")
    taken = kit.round_trip(shared.path)
    assert taken.bundle is not None
    assert taken.bundle.size_bytes < 3000


def test_without_a_remote_the_bundle_is_enough(kit: Kit, repo: Repo, tmp_path: Path) -> None:
    repo.write("new", "new\n")
    taken = kit.take(repo.path)
    shutil.copytree(repo.path, tmp_path / "copy", symlinks=True)
    shutil.rmtree(repo.path)
    target = kit.restore(taken)
    assert on_disk(target) == on_disk(tmp_path / "copy")
    assert taken.bundle is not None
    assert taken.bundle.prerequisites == ()
    assert Repo(target).git("rev-parse", "HEAD") == taken.root.commit
    assert Repo(target).git("status", "--porcelain") == "?? new"


def test_an_archive_needs_no_remote_and_has_the_same_tree(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    plain = kit.take(shared.path)
    taken = kit.take(shared.path, archive=True)
    assert taken.root.tree == plain.root.tree
    assert taken.root.link == plain.root.link
    shutil.rmtree(tmp_path / "origin.git")
    assert on_disk(kit.restore(taken)) == on_disk(shared.path)


def test_git_alone_can_unpack_a_bundle(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.write("new", "new\n")
    taken = kit.take(shared.path, archive=True)
    path = bundle_file(kit.store, taken)
    process.run(("git", "clone", "--quiet", str(path), str(tmp_path / "clone")))
    assert on_disk(tmp_path / "clone") == on_disk(shared.path)
    thin = bundle_file(kit.store, kit.take(shared.path))
    shared.git("bundle", "verify", "--quiet", str(thin))
    shared.git("fetch", "--quiet", str(thin), "refs/heads/snapshot:refs/heads/back")
    assert shared.git("show", "back:new") == "new"


def test_the_same_content_is_stored_once_in_the_same_bytes(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.commit("sub/other", "not pushed\n" * 100)
    shared.write("new", "new\n")
    first = kit.take(shared.path)
    assert kit.take(shared.path) == first
    assert len(list(kit.store.glob("*.bundle"))) == 1
    shared.git("gc", "--quiet")
    other = Kit(tmp_path / "other")
    assert other.take(shared.path) == first
    shared.write("new", "newer\n")
    assert kit.take(shared.path).root.tree != first.root.tree
    assert len(list(kit.store.glob("*.bundle"))) == 2


def test_a_folder_that_is_no_repository(kit: Kit, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub/__pycache__").mkdir(parents=True)
    (folder / "sub/__pycache__/a.pyc").write_bytes(b"x")
    (folder / "sub/train.py").write_bytes(b"print(1)\r\n")
    (folder / "run.sh").write_bytes(b"exit\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("sub")
    (folder / ".gitignore").write_bytes(b"*.log\n")
    (folder / "x.log").write_bytes(b"")
    (folder / ".projignore").write_bytes(b"/data\n")
    (folder / "data").mkdir()
    (folder / "data/big").write_bytes(b"1")
    (folder / "env/bin").mkdir(parents=True)
    (folder / "env/pyvenv.cfg").write_bytes(b"")
    (folder / "env/bin/python").write_bytes(b"")
    unwanted = ("sub/__pycache__/a.pyc", "x.log", "data/big", "env/pyvenv.cfg", "env/bin/python")
    taken = kit.round_trip(folder, without=unwanted)
    assert (taken.root.commit, taken.changes, taken.left_out) == (None, (), ())
    assert not (kit.restore(taken) / ".git").exists()


def test_an_empty_folder(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "folder/empty").mkdir(parents=True)
    assert kit.round_trip(tmp_path / "folder").root.tree == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_projignore_in_a_repository(kit: Kit, shared: Repo) -> None:
    shared.write(".projignore", "*.csv\n!keep.csv\n")
    shared.commit("tracked.csv", "1\n")
    shared.git("push", "--quiet")
    shared.write("tracked.csv", "2\n")
    shared.write("sub/data.csv", "3\n")
    shared.write("sub/keep.csv", "4\n")
    shared.write("sub/.projignore", "local\n")
    shared.write("sub/local", "5\n")
    taken = kit.take(shared.path)
    target = kit.restore(taken)
    assert left_out(taken) == {"tracked.csv": ("ignored", True)}
    assert (target / "tracked.csv").read_text() == "1\n"
    assert (target / "sub/keep.csv").exists()
    assert not (target / "sub/data.csv").exists()
    assert not (target / "sub/local").exists()


def test_a_project_in_an_ignored_folder(kit: Kit, shared: Repo) -> None:
    shared.commit(".gitignore", "/build\n")
    shared.git("push", "--quiet")
    shared.write("build/MLproject", "name: built\n")
    shared.write("build/sub/__pycache__/a.pyc", "")
    shared.write("build/other", "1\n")
    assert kit.take(shared.path, project="sub").bundle is None
    taken = kit.take(shared.path, project="build")
    assert kinds(taken) == {"build/MLproject": "untracked", "build/other": "untracked"}
    assert (kit.restore(taken) / "build/MLproject").read_text() == "name: built\n"


# --- states of repositories ---------------------------------------------------------------------------


def test_an_unborn_branch(kit: Kit, tmp_path: Path) -> None:
    unborn = Repo(tmp_path / "unborn")
    unborn.write("staged", "1")
    unborn.git("add", "staged")
    unborn.write("new", "2")
    taken = kit.round_trip(unborn.path)
    assert taken.root.commit is None
    assert kinds(taken) == {"staged": "added", "new": "untracked"}


def test_a_merge_in_progress(kit: Kit, shared: Repo) -> None:
    shared.commit("gone", "here\n")
    shared.git("checkout", "--quiet", "-b", "other", "v1")
    shared.commit("sub/train.py", "print(3)\n")
    shared.commit("gone", "there\n")
    process.run(("git", "merge", "main"), cwd=shared.path, check=False)
    (shared.path / "gone").unlink()
    taken = kit.round_trip(shared.path)
    assert kinds(taken)["sub/train.py"] == "conflicted"
    assert b"<<<<<<<" in on_disk(kit.restore(taken))[b"sub/train.py"][1]


def test_a_worktree_of_a_repository(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "tree"), "v1")
    (tmp_path / "tree/new").write_text("new")
    taken = kit.round_trip(tmp_path / "tree")
    assert taken.root.branch == "side"


def test_a_sparse_checkout_keeps_what_is_committed(kit: Kit, shared: Repo) -> None:
    shared.commit("other/file", "1\n")
    shared.git("push", "--quiet")
    shared.git("sparse-checkout", "set", "sub")
    shared.write("sub/train.py", "changed\n")
    taken = kit.take(shared.path)
    target = kit.restore(taken)
    assert (target / "other/file").read_text() == "1\n"
    assert (target / "sub/train.py").read_text() == "changed\n"
    assert kinds(taken) == {"sub/train.py": "modified"}


def test_a_sparse_index_makes_git_write_no_trees(kit: Kit, shared: Repo) -> None:
    shared.commit("other/file", "1\n")
    shared.commit(".gitattributes", "*.x working-tree-encoding=UTF-16\n")
    shared.git("sparse-checkout", "set", "--cone", "--sparse-index", "sub")
    shared.write("sub/train.py", "staged\n")
    shared.git("add", "sub/train.py")  # its tree is in the index alone
    shared.write(".projignore", "none\n")
    objects = shared.path / ".git/objects"
    before = {path: path.is_dir() or path.read_bytes() for path in objects.rglob("*")}
    taken = take(shared.path, store=kit.store)
    assert ignored(shared.path) == ()
    assert {path: path.is_dir() or path.read_bytes() for path in objects.rglob("*")} == before
    target = kit.restore(taken)
    assert (target / "other/file").read_text() == "1\n"
    assert (target / "sub/train.py").read_text() == "staged\n"


@pytest.mark.parametrize("option", ["--depth=1", "--filter=blob:none"])
def test_a_shallow_and_a_partial_clone(kit: Kit, shared: Repo, tmp_path: Path, option: str) -> None:
    bare = tmp_path / "origin.git"
    process.run(("git", "--git-dir", str(bare), "config", "uploadpack.allowFilter", "true"))
    shared.git("clone", "--quiet", option, f"file://{bare}", str(tmp_path / "clone"))
    clone = Repo(tmp_path / "clone")
    assert kit.round_trip(clone.path).bundle is None
    clone.commit("more", "1\n")
    clone.write("new", "new\n")
    taken = kit.round_trip(clone.path)
    assert taken.root.base_commits == (shared.git("rev-parse", "HEAD"),)
    kit.round_trip(clone.path, archive=True)


def test_borrowed_objects(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.git("clone", "--quiet", "--shared", str(shared.path), str(tmp_path / "clone"))
    (tmp_path / "clone/.git/objects/info/alternates").write_text("../../../work/iris/.git/objects\n")
    (tmp_path / "clone/new").write_text("new")
    kit.round_trip(tmp_path / "clone")


def test_a_repository_of_long_hashes(kit: Kit, tmp_path: Path) -> None:
    process.run(("git", "init", "--quiet", "--object-format=sha256", str(tmp_path / "long")))
    repo = Repo(tmp_path / "long")
    repo.commit("a", "1\n")
    repo.write("b", "2\n")
    assert len(kit.round_trip(repo.path).root.tree) == 64


def test_files_that_git_was_told_not_to_look_at(kit: Kit, shared: Repo) -> None:
    shared.commit("asleep", "1\n")
    shared.git("push", "--quiet")
    shared.git("update-index", "--skip-worktree", "asleep")
    shared.git("update-index", "--assume-unchanged", "sub/train.py")
    assert kit.round_trip(shared.path).bundle is None
    shared.write("asleep", "local settings\n")
    shared.write("sub/train.py", "changed\n")
    assert kinds(kit.round_trip(shared.path)) == {"asleep": "modified", "sub/train.py": "modified"}


# --- bytes --------------------------------------------------------------------------------------------


def test_line_ends_are_kept_as_they_are(kit: Kit, shared: Repo) -> None:
    shared.write(".gitattributes", "* text=auto\n*.u16 working-tree-encoding=UTF-16LE\n*.id ident\n")
    (shared.path / "dos.txt").write_bytes(b"1\r\n2\r\n")
    (shared.path / "wide.u16").write_bytes("é\n".encode("utf-16-le"))
    (shared.path / "v.id").write_bytes(b"$Id: me $\n")
    shared.commit("plain", "1\n")
    shared.git("push", "--quiet")
    assert shared.git("status", "--porcelain") == ""
    taken = kit.round_trip(shared.path)
    assert kinds(taken) == {"dos.txt": "converted", "wide.u16": "converted", "v.id": "converted"}
    shared.write("plain", "changed\n")
    kit.round_trip(shared.path)


def test_autocrlf(kit: Kit, shared: Repo) -> None:
    shared.git("config", "core.autocrlf", "true")
    shared.git("rm", "--quiet", "-r", "--cached", ".")
    shared.git("reset", "--quiet", "--hard")
    assert b"\r\n" in (shared.path / "sub/train.py").read_bytes()
    assert shared.git("status", "--porcelain") == ""
    assert kinds(kit.round_trip(shared.path))["sub/train.py"] == "converted"


def test_no_program_of_the_repositorys_settings_is_started(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\ncat\n")
    evil.chmod(0o755)
    shared.write(".gitattributes", "*.py filter=e=vil diff=evil\n")
    shared.commit("new.py", "1\n")
    shared.git("push", "--quiet")
    for setting in (
        *("core.fsmonitor", "core.sshCommand", "diff.external", "diff.evil.textconv", "core.pager"),
        *("gpg.program", "core.editor", "filter.e=vil.clean", "filter.e=vil.smudge", "filter.e=vil.process"),
    ):
        shared.git("config", setting, str(evil))
    shared.git("config", "log.showSignature", "true")
    shared.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc"):
        (tmp_path / "hooks").mkdir(exist_ok=True)
        shutil.copy(evil, tmp_path / "hooks" / hook)
    (tmp_path / "executed").unlink(missing_ok=True)
    shared.write("new.py", "2\n")
    os.utime(shared.path / "sub/train.py")
    taken = kit.round_trip(shared.path)
    assert not (tmp_path / "executed").exists()
    assert kinds(taken) == {"new.py": "modified"}


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def test_a_large_file_is_kept_as_the_pointer_that_is_pushed(
    kit: Kit, shared: Repo, said: list[events.Event]
) -> None:
    content = "big\n" * 1000
    pointer = POINTER.format(hashlib.sha256(content.encode()).hexdigest(), len(content))
    shared.commit("model.bin", pointer)
    shared.commit(".gitattributes", "*.bin filter=lfs\n")
    shared.git("push", "--quiet")
    assert kit.round_trip(shared.path).large_files == ()  # the pointer itself is on disk
    shared.write("model.bin", content)
    taken = kit.take(shared.path)
    assert (taken.bundle, taken.changes, taken.large_files) == (None, (), ("model.bin",))
    assert on_disk(kit.restore(taken))[b"model.bin"] == ("file", pointer.encode())
    if shutil.which("git-lfs") is None:
        assert "git-lfs is not installed" in said[-1].message
    shared.write("model.bin", content.upper())
    assert kinds(kit.round_trip(shared.path)) == {"model.bin": "modified"}


@pytest.mark.parametrize("in_repository", [True, False])
@pytest.mark.parametrize("home", ["", ".proj", "sub/x/records"])
def test_our_own_records_and_caches_are_no_part_of_the_tree(
    kit: Kit, shared: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_repository: bool, home: str
) -> None:
    root = shared.path
    if not in_repository:
        root = tmp_path / "plain"
        shutil.copytree(shared.path, root, ignore=shutil.ignore_patterns(".git"))
    before = kit.take(root).root.tree
    monkeypatch.setenv("PROJ_HOME", str(root / home))
    monkeypatch.setenv("PROJ_CACHE", str(root / ".cache"))
    run = "0123456789abcdef" * 2
    records = (
        *("proj.db", "proj.db-wal", "server-tokens.json", f"active/{run}", f"workspaces/{run}.json"),
        *(f"artifacts/{run}/x", f"artifacts/1/{run}/artifacts/x", f"artifacts/models/m-{run}/artifacts/x"),
        "journal/waiting",
    )
    for path in records:
        (root / home / path).parent.mkdir(parents=True, exist_ok=True)
        (root / home / path).write_text("1")
    Repo(root / ".cache/repos/r-0123456789abcdef")
    taken = kit.take(root)
    assert (taken.root.tree, taken.submodules) == (before, ())
    assert worktree.read(shared.path).changes == ()
    (root / "new").write_text("1")
    assert kit.take(root).root.tree != before


@pytest.mark.parametrize("in_repository", [True, False])
@pytest.mark.parametrize("variable", ["PROJ_HOME", "PROJ_CACHE"])
@pytest.mark.parametrize("place", ["", "sub"])
def test_what_is_the_users_in_a_folder_of_ours_is_part_of_the_tree(
    kit: Kit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_repository: bool,
    variable: str,
    place: str,
) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    if in_repository:
        Repo(root)
    monkeypatch.setenv(variable, str(root / place))
    names = (
        *("artifacts/w.txt", "artifacts/1/w.txt", "journal/day", "active/users", "workspaces/a/b"),
        *("models/m-1/x", "proj.db.sql", "work/plan", "images/cat.png", "conda/notes", "locks/door"),
    )
    for name in names:
        (root / place / name).parent.mkdir(parents=True, exist_ok=True)
        (root / place / name).write_text("1")
    trees = {kit.take(root).root.tree}
    for name in names:
        (root / place / name).write_text("2")
        trees.add(kit.take(root).root.tree)
    assert len(trees) == len(names) + 1


@pytest.mark.parametrize("place", ["", "sub"])
def test_a_run_does_not_change_the_tree_by_what_it_caches_in_it(
    kit: Kit, shared: Repo, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = kit.take(shared.path).root.tree
    monkeypatch.setenv("PROJ_CACHE", str(shared.path / place))
    digest = "0123456789abcdef" * 4
    for name in (
        *("project-files", ".project-files.01234567", "current-python.json", f"snapshots/{digest}.known"),
        *("snapshots/.12-01234567/x", f"environments/{digest[:20]}/0123abcd/bin/x", "conda/packages/p/x"),
        *(f"checkouts/{digest[:12]}.lock", f"blobs/sha256/{digest}", f"locks/{digest[:24]}/lock"),
    ):
        path = shared.path / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    assert kit.take(shared.path).root.tree == before


@pytest.mark.parametrize("changed", [False, True])
def test_what_is_committed_encrypted_is_kept_so(kit: Kit, shared: Repo, *, changed: bool) -> None:
    locked = "\0GITCRYPT\0 locked"
    shared.commit(".gitattributes", "secrets/** filter=git-crypt diff=git-crypt\n")
    shared.commit("secrets/keys.yml", locked)
    shared.git("push", "--quiet")
    assert kit.round_trip(shared.path).left_out == ()
    listed = list_tree(shared.path, store=kit.store)
    assert "secrets/keys.yml" in {file.path for file in listed.files}
    shared.write("secrets/keys.yml", "password: 1\n")
    if not changed:
        clean = "filter.git-crypt.clean=printf '\\0GITCRYPT\\0 locked'"
        shared.git("-c", clean, "add", "secrets/keys.yml")
    shared.write("secrets/new.yml", "password: 2\n")
    taken = kit.take(shared.path)
    left = {(left.path, left.reason, left.committed) for left in taken.left_out}
    assert left == {("secrets/keys.yml", "secret", True), ("secrets/new.yml", "secret", False)}
    assert on_disk(kit.restore(taken))[b"secrets/keys.yml"] == ("file", locked.encode())
    assert {file.path for file in list_tree(shared.path, store=kit.store).files}.isdisjoint(
        {"secrets/keys.yml", "secrets/new.yml"}
    )


# --- other repositories in the tree -------------------------------------------------------------------


@pytest.fixture
def library(shared: Repo, tmp_path: Path) -> Repo:
    """A submodule `lib` of `shared`, pushed itself."""
    other = Repo(tmp_path / "other")
    other.commit("lib.py", "1\n")
    pushed(other, tmp_path / "other.git")
    shared.git("submodule", "--quiet", "add", str(tmp_path / "other.git"), "lib")
    shared.git("commit", "--quiet", "-m", "lib")
    shared.git("push", "--quiet")
    return Repo(shared.path / "lib")


def test_clean_submodules_are_commits(kit: Kit, shared: Repo, library: Repo) -> None:
    taken = kit.round_trip(shared.path)
    assert taken.bundle is None
    assert [(part.path, part.commit, part.present) for part in taken.submodules] == [
        ("lib", library.git("rev-parse", "HEAD"), True)
    ]
    archived = kit.round_trip(shared.path, archive=True)
    assert archived.root.tree == taken.root.tree


def test_changes_in_submodules_come_back(kit: Kit, shared: Repo, library: Repo) -> None:
    library.write("lib.py", "changed\n")
    library.write("new", "new\n")
    taken = kit.round_trip(shared.path)
    assert kinds(taken) == {"lib/lib.py": "modified", "lib/new": "untracked"}
    target = kit.restore(taken)
    assert Repo(target / "lib").git("rev-parse", "HEAD") == library.git("rev-parse", "HEAD")
    assert Repo(target / "lib").git("status", "--porcelain").split() == ["M", "lib.py", "??", "new"]


def test_commits_in_submodules_come_back(kit: Kit, shared: Repo, library: Repo) -> None:
    library.commit("lib.py", "not pushed\n")
    taken = kit.round_trip(shared.path)
    assert kinds(taken) == {"lib": "submodule"}
    assert taken.submodules[0].commit == library.git("rev-parse", "HEAD")
    shared.git("commit", "--quiet", "--all", "-m", "moved")
    kit.round_trip(shared.path)
    kit.round_trip(shared.path, archive=True)


def test_a_submodule_that_is_not_filled(kit: Kit, shared: Repo, library: Repo, tmp_path: Path) -> None:
    shared.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "clone"))
    taken = kit.round_trip(tmp_path / "clone")
    assert [part.present for part in taken.submodules] == [False]
    shared.git("rm", "--quiet", "--force", "lib")
    assert kinds(kit.round_trip(shared.path)) == {".gitmodules": "modified", "lib": "deleted"}


def test_submodules_of_submodules(kit: Kit, shared: Repo, library: Repo, tmp_path: Path) -> None:
    library.git("submodule", "--quiet", "add", str(tmp_path / "origin.git"), "in ner")
    library.git("commit", "--quiet", "-m", "inner")
    Repo(library.path / "in ner").write("sub/train.py", "deep\n")
    taken = kit.round_trip(shared.path)
    assert [(part.path, part.present) for part in taken.submodules] == [
        ("lib", True),
        ("lib/in ner", True),
        ("lib/in ner/lib", False),
    ]


def test_repositories_that_are_no_submodules(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    nested = Repo(shared.path / "nested")
    nested.commit("a", "1\n")
    nested.write("b", "2\n")
    Repo(shared.path / "unborn").write("c", "3\n")
    taken = kit.round_trip(shared.path)
    assert [part.path for part in taken.submodules] == ["nested", "unborn"]
    assert Repo(kit.restore(taken) / "nested").git("rev-parse", "HEAD") == nested.git("rev-parse", "HEAD")
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copytree(nested.path, folder / "one")
    (folder / "file").write_text("1")
    assert [part.path for part in kit.round_trip(folder).submodules] == ["one"]


# --- what is left out ---------------------------------------------------------------------------------

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE" * 3 + "\n"
TOKEN = "ghp_" + "a1B2" * 9


def test_secrets_are_left_out_and_named(kit: Kit, shared: Repo) -> None:
    shared.commit("settings.py", "debug = True\n")
    shared.commit("sample.py", f"token = '{TOKEN}'\n")
    shared.commit(".env", "X=1\n")
    shared.git("push", "--quiet")
    for name in (
        ".env.local",
        "conf/.netrc",
        "id_rsa",
        ".pypirc",
        ".aws/credentials",
        "client_secret_1.json",
    ):
        shared.write(name, "x\n")
    shared.write("server.pem", KEY)
    shared.write("notes.txt", f"my token is {TOKEN}\n")
    shared.write("settings.py", f"token = '{TOKEN}'\n")
    shared.write(".env", "X=2\n")
    shared.write("sample.py", f"# committed long ago\ntoken = '{TOKEN}'\n")
    for name in (".env.example", "id_rsa.pub", "public.pem"):
        shared.write(name, "-----BEGIN PUBLIC KEY-----\nabc\n")
    taken = kit.take(shared.path)
    new = (".env.local", "conf/.netrc", "id_rsa", ".pypirc", ".aws/credentials", "client_secret_1.json")
    assert left_out(taken) == {
        **dict.fromkeys((*new, "server.pem", "notes.txt"), ("secret", False)),
        **dict.fromkeys(("settings.py", ".env"), ("secret", True)),
    }
    target = kit.restore(taken)
    assert (target / ".env").read_text() == "X=1\n"
    assert (target / "settings.py").read_text() == "debug = True\n"
    assert "long ago" in (target / "sample.py").read_text()
    assert not (target / "server.pem").exists()
    assert (target / ".env.example").exists()
    assert TOKEN not in str(taken)


def test_what_is_no_file_is_left_out(kit: Kit, shared: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared.path / "sub/train.py").unlink()
    os.mkfifo(shared.path / "sub/train.py")
    os.mkfifo(shared.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(shared.path)  # a socket's whole path may be too long
        listener.bind("s")
    taken = kit.take(shared.path)
    assert left_out(taken) == {"sub/train.py": ("special", True)}
    assert not (kit.restore(taken) / "pipe").exists()


def test_a_file_that_may_not_be_read(kit: Kit, shared: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.write("locked", "1\n")
    real = os.open

    def refuse(path: str | os.PathLike[str], *args: int, **options: int) -> int:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    taken = kit.take(shared.path)
    monkeypatch.undo()
    assert left_out(taken) == {"locked": ("unreadable", False)}


def test_the_largest_new_files_are_left_out_of_what_is_more_than_the_limit(kit: Kit, shared: Repo) -> None:
    shared.write("small", "1")
    shared.write("data/big.csv", "1" * 3000)
    shared.write("data/bigger.csv", "2" * 4000)
    shared.write("sub/train.py", "3" * 5000)
    os.utime(shared.path / "data/bigger.csv", ns=(0, 1_700_000_000_123_456_789))
    taken = kit.take(shared.path, limit_bytes=3001)
    assert left_out(taken) == {"data/bigger.csv": ("limit", False), "sub/train.py": ("limit", True)}
    left = taken.left_out[0]
    assert (left.size_bytes, left.modified_ms) == (4000, 1_700_000_000_123)
    assert left.digest == f"sha256:{hashlib.sha256(b'2' * 4000).hexdigest()}"
    assert not taken.complete
    assert kit.take(shared.path, limit_bytes=12001).complete
    target = kit.restore(taken)
    shared.git("checkout", "--quiet", "sub/train.py")
    assert on_disk(target) == on_disk(shared.path, without=["data/bigger.csv"])


def test_a_file_too_large_to_be_kept_is_not_even_opened(
    kit: Kit, shared: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (shared.path / "huge.bin").open("wb") as file:
        file.truncate(1024**4)
    opened: list[str] = []
    real = os.open

    def watch(path: str, *args: int, **options: int) -> int:
        opened.append(os.fspath(path))
        return real(path, *args, **options)

    shared.write("new", "1")
    monkeypatch.setattr(os, "open", watch)
    taken = take(shared.path, store=kit.store)
    assert str(shared.path / "new") in opened
    assert str(shared.path / "huge.bin") not in opened
    assert [(left.path, left.size_bytes, left.digest) for left in taken.left_out] == [
        ("huge.bin", 1024**4, None)
    ]


def test_a_data_set_in_a_folder_without_a_repository_is_left_out(kit: Kit, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.py").write_text("x")
    (folder / "data.bin").write_bytes(os.urandom(9000))
    taken = kit.take(folder, limit_bytes=5000)
    assert left_out(taken) == {"data.bin": ("limit", False)}
    assert on_disk(kit.restore(taken)) == on_disk(folder, without=["data.bin"])


def test_commits_too_large_to_be_kept_are_left_out_and_their_files_kept(kit: Kit, shared: Repo) -> None:
    head = shared.git("rev-parse", "HEAD")
    (shared.path / "large").write_bytes(os.urandom(9000))
    shared.git("mv", "sub/train.py", "moved.py")
    shared.commit("small", "1\n")
    (shared.path / "large").write_bytes(os.urandom(900))
    (shared.path / "new").write_bytes(b"new")
    shared.git("commit", "--quiet", "--all", "--message", "Make it small")
    taken = kit.take(shared.path, limit_bytes=5000)
    assert left_out(taken) == {".": ("commits", False)}
    assert taken.complete
    assert taken.root.commit == head
    assert kinds(taken) == {
        "large": "added",
        "moved.py": "added",
        "new": "untracked",
        "small": "added",
        "sub/train.py": "deleted",
    }
    assert on_disk(kit.restore(taken)) == on_disk(shared.path)


def test_commits_and_files_too_large_to_be_kept(kit: Kit, repo: Repo, library: Repo) -> None:
    repo.git("remote", "remove", "origin")
    repo.write("large", os.urandom(4500).hex())
    repo.commit("small", "1\n")
    repo.write("small", os.urandom(2400).hex())
    repo.write("lib/large", os.urandom(4500).hex())
    taken = kit.take(repo.path, limit_bytes=5000)
    assert left_out(taken) == {
        ".": ("commits", False),
        "large": ("limit", False),
        "lib/large": ("limit", False),
    }
    assert taken.root.commit is None
    assert on_disk(kit.restore(taken)) == on_disk(repo.path, without=["large", "lib/large"])
    assert library.path.is_dir()


def test_require_clean(shared: Repo, tmp_path: Path) -> None:
    require_clean(fetch(str(shared.path), cwd=tmp_path))
    for number in range(30):
        shared.write(f"new{number:02}", "")
    with pytest.raises(SourceError, match="30 files") as caught:
        require_clean(fetch(str(shared.path), cwd=tmp_path))
    assert caught.value.details[0] == "new00"
    assert caught.value.details[-1] == "and 10 more"
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match="no commit"):
        require_clean(fetch(str(tmp_path / "folder"), cwd=tmp_path))


def test_objects_that_are_replaced(kit: Kit, shared: Repo) -> None:
    head = shared.git("rev-parse", "HEAD")
    shared.git("replace", head, "v1^{commit}")
    taken = kit.round_trip(shared.path)
    assert taken.root.commit == head
    shared.git("replace", "--delete", head)
    assert taken.root.tree == shared.git("rev-parse", "HEAD^{tree}")


def test_a_damaged_bundle_in_the_store_is_made_anew(kit: Kit, repo: Repo) -> None:
    first = kit.take(repo.path)
    path = bundle_file(kit.store, first)
    assert path is not None
    content = path.read_bytes()
    path.unlink()
    for damaged in (b"", content[:-1], content[:-30] + b"?" + content[-29:]):
        path.write_bytes(damaged)
        assert kit.round_trip(repo.path) == first
        assert path.read_bytes() == content
        path.unlink()


def test_a_tree_that_was_stored_is_not_written_again(
    kit: Kit, shared: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write("new", "new\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    first = [kit.take(shared.path), kit.take(folder)]
    asked: list[str] = []
    real = process.run

    def watch(argv: Sequence[str], **options: Any) -> process.Completed:
        asked.append(" ".join(argv))
        return real(argv, **options)

    monkeypatch.setattr(process, "run", watch)
    assert [kit.take(shared.path), kit.take(folder)] == first
    assert not [line for line in asked if "fast-import" in line or "pack-objects" in line]
    assert len(asked) == 6


def test_what_is_remembered_of_a_tree_may_be_damaged(kit: Kit, shared: Repo) -> None:
    shared.write("new", "new\n")
    first = kit.take(shared.path)
    (known,) = kit.store.glob("*.known")
    lines = known.read_text().splitlines()
    for damaged in ("", "\xff", lines[0], "\n".join((*lines[:1], *lines[:0:-1])), "\n".join((*lines, "x"))):
        known.write_text(damaged)
        assert kit.take(shared.path) == first
        assert known.read_text().splitlines() == lines


@pytest.mark.parametrize("name", ["git~1", ".GIT/x", "sub/.Git ", ".g\u200cit/x", "GIT~1. .", "a\\.git:x"])
def test_names_that_git_refuses_are_left_out_so_that_the_rest_comes_back(
    kit: Kit, shared: Repo, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "folder"
    for top in (shared.path, folder):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("x")
        (top / ".github").write_text("kept")
        taken = kit.take(top)
        assert left_out(taken) == {name: ("special", False)}
        assert on_disk(kit.restore(taken)) == on_disk(top, without=[name])


def test_a_link_for_a_list_of_submodules_is_left_out(kit: Kit, shared: Repo) -> None:
    (shared.path / ".gitmodules").symlink_to("elsewhere")
    taken = kit.take(shared.path)
    assert left_out(taken) == {".gitmodules": ("special", False)}
    assert on_disk(kit.restore(taken)) == on_disk(shared.path, without=[".gitmodules"])


def test_a_folder_that_became_a_link_is_not_read_through(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.git("update-index", "--assume-unchanged", "sub/train.py")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/train.py").write_text("private")
    shutil.rmtree(shared.path / "sub")
    (shared.path / "sub").symlink_to(tmp_path / "elsewhere")
    kit.round_trip(shared.path)


def test_commits_as_other_tools_have_written_them(kit: Kit, repo: Repo) -> None:
    tree = repo.git("rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nauthor a<a@example.org> 1 +0000\ncommitter nobody\n\nOld\n"
    odd = repo.path / ".git/odd"
    odd.write_text(text)
    commit = repo.git("hash-object", "--literally", "-w", "-t", "commit", str(odd))
    repo.git("update-ref", "HEAD", commit)
    assert kit.round_trip(repo.path).root.commit == commit


# --- what may get in the way --------------------------------------------------------------------------


def test_files_that_vanish_or_change_meanwhile(kit: Kit, shared: Repo) -> None:
    shared.commit("tracked", "1\n")
    shared.git("push", "--quiet")
    for name in ("tracked", "stays", "vanishes"):
        shared.write(name, "changed\n")
    tree = worktree.read(shared.path)
    (shared.path / "vanishes").unlink()
    (shared.path / "tracked").unlink()
    shared.write("stays", "changed again\n")
    taken = take(shared.path, store=kit.store, tree=tree)
    assert on_disk(kit.restore(taken)) == on_disk(shared.path)


def test_a_working_tree_elsewhere(kit: Kit, shared: Repo, tmp_path: Path) -> None:
    shared.git("config", "core.worktree", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    shared.write("new", "new\n")
    taken = kit.take(shared.path)
    assert taken.root.commit is None
    assert on_disk(kit.restore(taken)) == on_disk(shared.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a repository away")
def test_a_repository_of_another_user(kit: Kit, shared: Repo, said: list[events.Event]) -> None:
    for path in (shared.path, shared.path / ".git"):
        os.chown(path, 12345, 12345)
    taken = kit.take(shared.path)
    assert taken.root.commit is None
    assert "dubious ownership" in said[0].message
    assert on_disk(kit.restore(taken)) == on_disk(shared.path)


def test_many_at_once(kit: Kit, shared: Repo) -> None:
    shared.write("new", "new\n")
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(take, shared.path, store=kit.store) for _ in range(8)]
        taken = {future.result() for future in futures}
    assert len(taken) == 1
    assert len(list(kit.store.glob("*.bundle"))) == 1


def test_variables_of_a_hook_are_not_followed(
    kit: Kit, shared: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write("new", "new\n")
    expected = kit.take(shared.path)
    other = Repo(tmp_path / "other")
    for name, path in (("GIT_DIR", ""), ("GIT_INDEX_FILE", "index"), ("GIT_OBJECT_DIRECTORY", "objects")):
        monkeypatch.setenv(name, str(other.path / ".git" / path))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    taken = kit.take(shared.path)
    target = kit.restore(taken)
    monkeypatch.undo()
    assert taken == expected
    assert on_disk(target) == on_disk(shared.path)
