"""Random repositories in random states: what is restored is what was there, and nothing else has changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proj import process
from snapshot_kit import Kit, on_disk
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = (
    *("a.py", "b.txt", "c d", "é.py", "new\nline", 'quo"te', "back\\slash", "-dash", "sub/e", "sub/deep/f"),
    *(
        "sub/.gitignore",
        ".gitignore",
        "tab\t",
        "x.log",
        "sub/x.log",
        os.fsdecode(b"caf\xe9"),
        ".gitattributes",
    ),
)
CONTENTS = (
    *(b"", b"1\n", b"2\n", b"1\r\n2\r\n", b"\0\xff\r\n", b"*.log\n", b"!x.log\n", b"#!/bin/sh\nexit\n"),
    *(b"* text=auto\n", b"*.py text eol=crlf\n*.txt -text\n", b"$Id$\n", b"same\n" * 300),
)


class Machine:
    """Does random things to a repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repo = Repo(folder / "work")

    def write(self, name: str, content: bytes) -> None:
        path = self.repo.path / name
        self._clear(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def link(self, name: str, content: bytes) -> None:
        path = self.repo.path / name
        if path.name.startswith(".git"):
            return  # git reads none of its own files through links
        self._clear(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(f"nowhere {len(content)}")

    def remove(self, name: str, _content: bytes) -> None:
        self._clear(self.repo.path / name)

    def mode(self, name: str, content: bytes) -> None:
        path = self.repo.path / name
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if len(content) % 2 else 0o644)

    def rename(self, name: str, content: bytes) -> None:
        path = self.repo.path / name
        target = self.repo.path / NAMES[len(content) % len(NAMES)]
        if path.is_file() and target.parent.is_dir() and not target.exists():
            path.rename(target)

    def stage(self, _name: str, _content: bytes) -> None:
        self._git("add", "--all")

    def commit(self, _name: str, _content: bytes) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", "x")

    def push(self, _name: str, _content: bytes) -> None:
        remote = self.folder / "origin.git"
        if not remote.exists():
            self._git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(remote))
            self._git("remote", "add", "origin", str(remote))
        self._git("push", "--quiet", "origin", "HEAD:refs/heads/main", "--force")

    def detach(self, _name: str, _content: bytes) -> None:
        self._git("checkout", "--quiet", "--detach")

    def forget(self, name: str, _content: bytes) -> None:
        self._git("rm", "--quiet", "--cached", "-r", "--", f":(literal){name}")

    def conflict(self, name: str, content: bytes) -> None:
        if not self._has_commit():
            return
        self.commit(name, content)
        self._git("checkout", "--quiet", "-B", "other")
        self.write(name, content + b"theirs\n")
        self.commit(name, content)
        self._git("checkout", "--quiet", "-B", "main", "HEAD~1")
        self.write(name, content + b"ours\n")
        self.commit(name, content)
        self._git("merge", "other")

    def submodule(self, name: str, content: bytes) -> None:
        path = self.repo.path / "lib"
        if not path.exists() and self._has_commit():
            other = Repo(self.folder / "other")
            other.commit("lib.py", "1\n")
            self._git("submodule", "--quiet", "add", str(other.path), "lib")
        elif (path / ".git").exists() and "git" not in name and "/" not in name:
            (path / name).write_bytes(content)
            if len(content) % 3 == 0:
                process.run(("git", "add", "--all"), cwd=path)
                process.run(
                    ("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x"),
                    cwd=path,
                    check=False,
                )

    def nested(self, _name: str, content: bytes) -> None:
        path = self.repo.path / "nested repo"
        if not path.exists():
            Repo(path).write("a", "1\n")
        elif (path / ".git").exists():
            Repo(path).write("b", f"{len(content)}\n")
            for words in (("add", "b"), ("commit", "--quiet", "--allow-empty", "-m", "x")):
                Repo(path).git(*words)

    def hide(self, name: str, content: bytes) -> None:
        option = "--skip-worktree" if len(content) % 2 else "--assume-unchanged"
        self._git("update-index", option, "--", name)

    def _has_commit(self) -> bool:
        return (
            process.run(
                ("git", "rev-parse", "-q", "--verify", "HEAD"), cwd=self.repo.path, check=False
            ).returncode
            == 0
        )

    def _git(self, *args: str) -> None:
        """Git may refuse what it is asked for in the state that things are in; that is fine."""
        settings = ("user.name=A", "user.email=a@b", "protocol.file.allow=always", "core.safecrlf=false")
        options = (word for setting in settings for word in ("-c", setting))
        process.run(("git", *options, *args), cwd=self.repo.path, check=False)

    def _clear(self, path: Path) -> None:
        top = self.repo.path
        for part in path.relative_to(top).parents:
            folder = top / part
            if part != Path() and (folder.is_symlink() or folder.is_file()):
                folder.unlink()
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


ACTIONS: tuple[Callable[[Machine, str, bytes], None], ...] = (
    *(Machine.write, Machine.write, Machine.write, Machine.commit, Machine.commit, Machine.push),
    *(Machine.link, Machine.remove, Machine.mode, Machine.rename, Machine.stage, Machine.detach),
    *(Machine.forget, Machine.conflict, Machine.submodule, Machine.submodule, Machine.nested, Machine.hide),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    min_size=2,
    max_size=14,
)
PLACES = st.sampled_from(("itself", "worktree", "sparse", "shallow", "folder"))


def not_ignored(root: Path, *options: str) -> set[bytes]:
    """What git would add of a repository, and of those in it."""
    listing = process.run(
        ("git", *options, "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=root,
        exact=True,
    )
    found = set()
    for path in listing.stdout.split("\0")[:-1]:
        folder = root / path
        if folder.is_dir() and not folder.is_symlink():
            if (folder / ".git").exists():
                inner = os.fsencode(path.rstrip("/"))
                found |= {inner + b"/" + each for each in not_ignored(folder)}
        else:
            found.add(os.fsencode(path))
    return found


def seen_from(machine: Machine, place: str) -> Path:
    """The tree to take: the repository itself, or another view of it."""
    root = machine.repo.path
    if place == "folder":
        shutil.rmtree(root / ".git")
    elif place == "sparse":
        machine._git("sparse-checkout", "set", "sub")
    elif place in ("worktree", "shallow") and machine._has_commit():
        other = machine.folder / place
        if place == "worktree":
            machine._git("worktree", "add", "--quiet", "--detach", str(other))
        else:
            machine._git("clone", "--quiet", "--depth=1", f"file://{root}", str(other))
        if other.exists():
            (other / "after").write_bytes(b"new\n")
            return other
    return root


def check(steps: list[tuple[Callable[[Machine, str, bytes], None], str, bytes]], place: str) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setenv("PROJ_CACHE", str(folder / "cache"))
        machine = Machine(folder)
        for action, file, content in steps:
            action(machine, file, content)
        root = seen_from(machine, place)
        kit = Kit(folder)
        # a worktree's own repository, and what a submodule was cloned from, are not below `root`
        beside = [path for path in (machine.repo.path, folder / "other") if path.exists()]
        before = [fingerprint(path) for path in beside]
        taken = kit.take(root)
        assert [fingerprint(path) for path in beside] == before
        restored = on_disk(kit.restore(taken))
        expected = on_disk(root)
        if place == "folder":
            process.run(("git", "init", "--quiet", "--bare", str(folder / "git")))
            kept = not_ignored(root, f"--git-dir={folder / 'git'}", f"--work-tree={root}")
        else:
            kept = not_ignored(root)
        expected = {path: content for path, content in expected.items() if path in kept}
        if place == "sparse":  # what is not on disk is restored as committed
            restored = {path: content for path, content in restored.items() if path in expected}
        assert restored == expected
        again = Kit(folder / "again")
        assert again.take(root) == taken


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(
    max_examples=12, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate], derandomize=True
)
@given(steps=STEPS, place=PLACES)
def test_a_few_repositories(
    steps: list[tuple[Callable[[Machine, str, bytes], None], str, bytes]], place: str
) -> None:
    check(steps, place)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(
    max_examples=int(os.environ.get("PROJ_EXAMPLES", "300")), deadline=None, suppress_health_check=QUIET
)
@given(steps=STEPS, place=PLACES)
def test_many_repositories(
    steps: list[tuple[Callable[[Machine, str, bytes], None], str, bytes]], place: str
) -> None:
    check(steps, place)
