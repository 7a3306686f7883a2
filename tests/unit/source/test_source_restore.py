"""What a snapshot or a bundle says is not believed."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj import process
from proj.errors import SourceError
from proj.model import Snapshot, SourcePart
from proj.source.bundle import describe, write_bundle
from proj.source.restore import restore
from proj.source.snapshot import bundle_file
from proj.source.treehash import hash_tree
from snapshot_kit import Kit, on_disk, pushed
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

replace = msgspec.structs.replace


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setenv("PROJ_CACHE", str(tmp_path / "cache"))
    return Kit(tmp_path)


@pytest.fixture
def taken(kit: Kit, repo: Repo, tmp_path: Path) -> Snapshot:
    """Of a tree that is pushed but for one file."""
    pushed(repo, tmp_path / "origin.git")
    repo.write("new", "new\n")
    return kit.take(repo.path)


def refused(kit: Kit, snapshot: Snapshot, bundle: Path | None, match: str) -> None:
    """The restoration fails with these words, and leaves nothing."""
    target = kit.folder / "target"
    before = sorted(path.name for path in kit.folder.iterdir())
    with pytest.raises(SourceError, match=match):
        restore(snapshot, target, bundle_path=bundle)
    assert sorted({*before, "cache"}) == sorted({*(path.name for path in kit.folder.iterdir()), "cache"})


def test_a_target_that_is_not_empty(kit: Kit, taken: Snapshot, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("1")
    before = fingerprint(tmp_path / "target")
    with pytest.raises(SourceError, match="not an empty folder"):
        restore(taken, target, bundle_path=bundle_file(kit.store, taken))
    assert fingerprint(target) == before
    (target / "mine").unlink()
    same = target.stat().st_ino
    with pytest.raises(SourceError, match="bundle"):
        restore(taken, target)
    assert list(target.iterdir()) == []
    restore(taken, target, bundle_path=bundle_file(kit.store, taken))
    assert (target / "new").read_text() == "new\n"
    assert target.stat().st_ino == same, "somebody may stand in it"
    assert not [path.name for path in target.iterdir() if path.name.startswith(".") and path.name != ".git"]
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="not an empty folder"):
        restore(taken, tmp_path / "link", bundle_path=bundle_file(kit.store, taken))


@pytest.mark.parametrize("name", ["README", "train.py", "sub"])
def test_a_target_that_is_filled_meanwhile(
    kit: Kit, taken: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    restoration = sys.modules["proj.source.restore"]._Restoration
    run = restoration.run

    def run_while_somebody_writes(self: object, bundle: Path | None) -> None:
        run(self, bundle)
        (target / name).mkdir()
        (target / name / "theirs").touch()

    monkeypatch.setattr(restoration, "run", run_while_somebody_writes)
    with pytest.raises(SourceError, match="not an empty folder"):
        restore(taken, target, bundle_path=bundle_file(kit.store, taken))
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == [name, f"{name}/theirs"]


def test_a_bundle_that_is_missing_or_another(kit: Kit, taken: Snapshot, tmp_path: Path) -> None:
    refused(kit, taken, None, "there is no bundle")
    refused(kit, taken, tmp_path / "nowhere", "Cannot read")
    (tmp_path / "other").write_bytes(b"# v2 git bundle\n\n")
    refused(kit, taken, tmp_path / "other", "not the bundle of this snapshot")
    (tmp_path / "other").write_bytes(b"PACK")
    refused(kit, taken, tmp_path / "other", "no git bundle")


@pytest.mark.parametrize("position", [-40, -1, 0.5])
def test_a_flipped_bit(kit: Kit, taken: Snapshot, tmp_path: Path, position: float) -> None:
    path = bundle_file(kit.store, taken)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[int(position * len(content)) if position == 0.5 else int(position)] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    refused(kit, taken, tmp_path / "flipped", "not the bundle of this snapshot")
    believed = replace(taken, bundle=describe(tmp_path / "flipped"))
    refused(kit, believed, tmp_path / "flipped", "damaged|another")


def test_a_remote_that_is_gone(kit: Kit, taken: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "origin.git").rename(tmp_path / "moved.git")
    refused(kit, taken, bundle_file(kit.store, taken), "No repository")
    target = tmp_path / "target"
    remotes = {"": str(tmp_path / "moved.git")}
    restore(taken, target, bundle_path=bundle_file(kit.store, taken), remotes=remotes)
    assert (target / "new").exists()


def test_a_snapshot_that_lies(kit: Kit, taken: Snapshot) -> None:
    bundle = bundle_file(kit.store, taken)
    root = taken.root
    for lie, match in (
        (replace(root, tree="0" * 40), "not the one that was recorded"),
        (replace(root, commit="--upload-pack=touch /tmp/x"), "no hash"),
        (replace(root, repository_url="ext::sh -c touch% /tmp/x"), "Not a URL"),
        (replace(root, repository_url="--upload-pack=x"), "Not a URL"),
        (replace(root, repository_url=None), "none is recorded"),
        (replace(root, base_commits=()), "builds on other commits"),
        (replace(root, snapshot=None), "not the one that was recorded"),
        (replace(root, snapshot=None, commit=None), "does not say"),
    ):
        refused(kit, replace(taken, root=lie), bundle, match)
    lost = replace(root, path="../out", repository_url=None, base_commits=())
    refused(kit, replace(taken, submodules=(lost,)), bundle, "its tree has not")
    branch = replace(taken, root=replace(root, branch="../../../hooks/x"))
    assert Repo(kit.restore(branch)).git("branch", "--show-current") == ""


def hostile(folder: Path, tree: bytes, *, without_blob: bool = False) -> tuple[Snapshot, Path]:
    """A whole bundle of a tree made by hand, and a snapshot that names it."""
    repo = Repo(folder / "hostile")
    repo.commit("file", "1\n")
    blob = repo.git("rev-parse", "HEAD:file")
    (folder / "tree").write_bytes(tree.replace(b"BLOB", bytes.fromhex(blob)))
    name = repo.git("hash-object", "-t", "tree", "-w", "--literally", str(folder / "tree"))
    commit = repo.git("commit-tree", "-m", "x", name)
    objects = [commit, name, *(() if without_blob else (blob,))]
    packing = ("git", "pack-objects", "--quiet", str(folder / "hostile/p"))
    process.run(packing, cwd=repo.path, stdin="\n".join(objects) + "\n")
    path = folder / "evil.bundle"
    write_bundle(path, next((folder / "hostile").glob("p-*.pack")), {"refs/heads/snapshot": commit}, ())
    root = SourcePart(tree=name, link=commit, snapshot=commit)
    return Snapshot(root=root, bundle=describe(path)), path


@pytest.mark.parametrize(
    "tree",
    [
        b"100644 .git\0BLOB",
        b"100644 .GIT\0BLOB",
        b"100644 git~1\0BLOB",
        b"100644 ..\0BLOB",
        b"100644 .\0BLOB",
        b"100644 ../escaped\0BLOB",
        b"100644 /tmp/escaped\0BLOB",
        b"100644 .g\xe2\x80\x8cit\0BLOB",
        b"120000 a\0BLOB100644 a\0BLOB",
        b"100644 b\0BLOB100644 a\0BLOB",
        b"120000 .gitmodules\0BLOB",
    ],
)
def test_a_hostile_tree(kit: Kit, tmp_path: Path, tree: bytes) -> None:
    snapshot, bundle = hostile(tmp_path, tree)
    refused(kit, snapshot, bundle, "not to be trusted")


def test_a_bundle_that_lacks_a_file(kit: Kit, tmp_path: Path) -> None:
    snapshot, bundle = hostile(tmp_path, b"100644 a\0BLOB")
    assert on_disk(kit.restore(snapshot, bundle_path=bundle)) == {b"a": ("file", b"1\n")}
    (tmp_path / "more").mkdir()
    snapshot, bundle = hostile(tmp_path / "more", b"100644 a\0BLOB", without_blob=True)
    refused(kit, snapshot, bundle, "not to be trusted")


def test_a_link_does_not_lead_out(kit: Kit, tmp_path: Path) -> None:
    """A folder `a` behind a link `a`: git's fsck refuses it, and so would its checkout."""
    snapshot, bundle = hostile(
        tmp_path, b"120000 a\0BLOB40000 a\0" + bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    )
    refused(kit, snapshot, bundle, "not to be trusted")


def test_the_hash_of_a_folder_is_gits(tmp_path: Path, repo: Repo) -> None:
    for name in ("a.b", "a/x", "a-b", "A", "é", os.fsdecode(b"\xff")):
        repo.write(name, name.encode("utf-8", "replace").decode())
    (repo.path / "run").write_text("")
    (repo.path / "run").chmod(0o755)
    (repo.path / "link").symlink_to("a")
    (repo.path / "empty/empty").mkdir(parents=True)
    repo.git("add", "--all")
    assert hash_tree(repo.path, {}) == repo.git("write-tree")
    (tmp_path / "none").mkdir()
    assert hash_tree(tmp_path / "none", {}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_no_filter_or_hook_of_the_user_runs(
    kit: Kit, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\ncat\n")
    evil.chmod(0o755)
    repo.write(".gitattributes", "* filter=evil text eol=crlf ident\n")
    repo.write("lines", "1\n$Id$\n")
    taken = kit.take(repo.path)
    settings = tmp_path / "settings"
    settings.write_text(
        f'[filter "evil"]\n\tsmudge = {evil}\n\tclean = {evil}\n[core]\n\thooksPath = {tmp_path}\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (tmp_path / "post-checkout").write_bytes(evil.read_bytes())
    (tmp_path / "post-checkout").chmod(0o755)
    target = kit.restore(taken)
    monkeypatch.undo()
    assert on_disk(target) == on_disk(repo.path)
    assert not (tmp_path / "executed").exists()


def test_the_digest_is_of_the_file(kit: Kit, taken: Snapshot) -> None:
    path = bundle_file(kit.store, taken)
    assert path is not None
    assert taken.bundle is not None
    assert taken.bundle.digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert taken.bundle.size_bytes == path.stat().st_size
