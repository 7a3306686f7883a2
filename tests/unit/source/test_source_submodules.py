from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from proj import process, source
from proj.errors import SourceError
from proj.source.submodules import resolve_url
from source_repositories import GitServer, Repo, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from proj import events


@pytest.fixture
def nested(tmp_path: Path, served: Repo) -> Repo:
    """`iris` with the submodule `lib`, which has the submodule `deep`; all by relative URLs, all served."""
    for name, child in (("deep", None), ("lib", "deep"), ("iris", "lib")):
        repo = served if name == "iris" else Repo(tmp_path / "work" / name)
        repo.write(f"{name}.txt", name)
        if child is not None:
            repo.git("submodule", "--quiet", "add", str(tmp_path / "work" / child), child)
            repo.git("config", "--file", ".gitmodules", f"submodule.{child}.url", f"../{child}.git")
        repo.commit()
        target = tmp_path / "served" / f"{name}.git"
        if name == "iris":
            repo.git("push", "--quiet", "origin", "main")
        else:
            repo.git("clone", "--quiet", "--bare", str(repo.path), str(target))
    return served


def test_submodules_of_a_remote_are_there_and_cached(server: GitServer, nested: Repo, tmp_path: Path) -> None:
    commit = nested.git("rev-parse", "HEAD")
    for is_first in (True, False):
        checkout = source.fetch(f"{server.url}/iris.git", version=commit, cwd=tmp_path)
        assert (checkout.root / "lib/lib.txt").read_text("utf-8") == "lib"
        assert (checkout.root / "lib/deep/deep.txt").read_text("utf-8") == "deep"
        status = process.run(("git", "submodule", "status", "--recursive"), cwd=checkout.root).stdout
        assert [line[0] for line in status.splitlines()] == [" ", " "]
        state = source.git_state(checkout.root)
        assert state is not None
        assert not state.dirty
        assert bool(server.requests) == is_first
        server.requests.clear()
        source.release(checkout)


def test_submodules_of_a_local_repository(nested: Repo, tmp_path: Path) -> None:
    """Its own submodules are used where they are there, else they are fetched by their URL."""
    nested.git(
        "clone", "--quiet", "--recurse-submodules", str(tmp_path / "served/iris.git"), str(tmp_path / "full")
    )
    nested.git("clone", "--quiet", str(tmp_path / "served/iris.git"), str(tmp_path / "bare-of-submodules"))
    for name in ("full", "bare-of-submodules"):
        before = fingerprint(tmp_path / name)
        checkout = source.fetch(name, version="main", cwd=tmp_path)
        assert (checkout.root / "lib/deep/deep.txt").read_text("utf-8") == "deep"
        source.release(checkout)
        assert fingerprint(tmp_path / name) == before


def test_a_remote_cannot_name_a_repository_on_this_machine(
    server: GitServer, served: Repo, tmp_path: Path
) -> None:
    secret = Repo(tmp_path / "secret")
    secret.commit()
    served.git("submodule", "--quiet", "add", str(secret.path), "lib")
    served.commit()
    served.git("push", "--quiet", "origin", "main")
    with pytest.raises(SourceError, match=r"submodule 'lib'.*a path on this machine"):
        source.fetch(f"{server.url}/iris.git", cwd=tmp_path)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("ext::sh -c touch% {ran}", "lib"),
        ("--upload-pack=touch {ran}", "lib"),
        ("-u./x", "lib"),
        ("ssh://-oProxyCommand=touch {ran}/x", "lib"),
        ("../../../../../../../x", "lib"),
        ("../other.git", "link/lib"),
    ],
)
def test_hostile_declarations_are_refused(
    server: GitServer, served: Repo, tmp_path: Path, url: str, path: str
) -> None:
    ran = tmp_path / "ran"
    commit = served.git("rev-parse", "HEAD")
    (served.path / "link").symlink_to(".git")
    served.write(".gitmodules", "")
    served.git("config", "--file", ".gitmodules", "submodule.lib.path", path)
    served.git("config", "--file", ".gitmodules", "submodule.lib.url", url.format(ran=ran))
    served.git("add", ".gitmodules", *(() if path.startswith("link") else ("link",)))
    served.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    if path.startswith("link"):  # a tree cannot hold both; the folder is what is checked out
        os.unlink(served.path / "link")  # noqa: PTH108  a link
    served.git("commit", "--quiet", "--message", "hostile")
    served.git("push", "--quiet", "origin", "main")
    with pytest.raises(SourceError, match="submodule"):
        source.fetch(f"{server.url}/iris.git", cwd=tmp_path)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b.git/", "./c", "https://h/a/b.git/c"),
        ("git@h:a/b.git", "../../c/d.git", "git@h:c/d.git"),
        ("git@h:b.git", "../c.git", "git@h:c.git"),
        ("/srv/a", "../b", "/srv/b"),
        ("https://h/a", "git@x:y", "git@x:y"),
    ],
)
def test_relative_urls(base: str, url: str, expected: str) -> None:
    assert resolve_url(base, url) == expected


def test_large_files_are_told_where_git_lfs_is_missing(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[events.Event]
) -> None:
    _without_lfs(tmp_path, monkeypatch)
    _commit_pointer(repo)
    checkout = source.fetch(str(repo.path), version="main", cwd=tmp_path)
    warnings = [event.message for event in said if event.kind == "warning"]
    assert len(warnings) == 1
    assert "1 files are kept with Git LFS" in warnings[0]
    assert "data/x.bin" in warnings[0]
    source.release(checkout)


def test_large_files_are_fetched_where_git_lfs_is_installed(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[events.Event]
) -> None:
    """A stand-in for git-lfs, which is called as the real one is."""
    _without_lfs(tmp_path, monkeypatch)
    _commit_pointer(repo)
    stub = tmp_path / "bin" / "git-lfs"
    stub.write_text('#!/bin/sh\n[ "$*" = "pull origin" ] && printf content > data/x.bin\n', "utf-8")
    stub.chmod(0o755)
    checkout = source.fetch(str(repo.path), version="main", cwd=tmp_path)
    assert (checkout.root / "data/x.bin").read_text("utf-8") == "content"
    assert not [event for event in said if event.kind == "warning"]
    source.release(checkout)
    stub.write_text("#!/bin/sh\necho 'batch response: Repository not found' >&2\nexit 2\n", "utf-8")
    with pytest.raises(SourceError, match="Git LFS cannot fetch"):
        source.fetch(str(repo.path), version="main", cwd=tmp_path)


def _commit_pointer(repo: Repo) -> None:
    repo.write("data/x.bin", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n")
    repo.commit("data/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")


def _without_lfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH on which git and sh are, and a git-lfs of the machine is not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh"):
        program = next(
            f"{each}/{name}" for each in os.environ["PATH"].split(":") if os.access(f"{each}/{name}", os.X_OK)
        )
        (folder / name).symlink_to(program)
    monkeypatch.setenv("PATH", str(folder))
