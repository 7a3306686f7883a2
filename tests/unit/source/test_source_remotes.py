from __future__ import annotations

import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proj import events, paths, process, source
from proj.errors import SourceError
from proj.source import uri
from proj.source.mirror import Mirror
from proj.source.refs import parse_ls_remote
from proj.source.tree import Origin, materialise

if TYPE_CHECKING:
    from pathlib import Path

    from source_repositories import GitServer, Repo


def content(checkout_root: Path) -> str:
    return (checkout_root / "sub/train.py").read_text("utf-8")


def test_default_branch_subdir_and_record(server: GitServer, served: Repo, tmp_path: Path) -> None:
    checkout = source.fetch(f"{server.url}/iris.git#sub", cwd=tmp_path)
    assert (checkout.uri, checkout.kind, checkout.private) == (f"{server.url}/iris.git#sub", "git", True)
    assert checkout.project_dir == checkout.root / "sub"
    assert checkout.root.name == "iris"
    state = checkout.git
    assert state is not None
    assert (state.commit, state.branch) == (served.git("rev-parse", "main"), "main")
    assert (state.repository_url, state.dirty) == (f"{server.url}/iris.git", False)
    assert source.git_state(checkout.root) == state
    assert process.run(("git", "rev-parse", "origin/main", "HEAD"), cwd=checkout.root).stdout.split() == [
        state.commit,
        state.commit,
    ]
    source.release(checkout)
    assert not checkout.root.exists()


def test_a_commit_in_the_cache_needs_no_network(server: GitServer, served: Repo, tmp_path: Path) -> None:
    commit = served.git("rev-parse", "v1^{}")
    source.release(source.fetch(f"{server.url}/iris.git", version=commit, cwd=tmp_path))
    server.requests.clear()
    checkout = source.fetch(f"{server.url}/iris.git", version=commit, cwd=tmp_path)
    assert server.requests == []
    assert content(checkout.root) == "print(1)\n"
    source.release(checkout)


def test_a_branch_and_a_tag_that_move_are_followed(server: GitServer, served: Repo, tmp_path: Path) -> None:
    url = f"{server.url}/iris.git"
    for tag_or_branch in ("main", "v1"):
        source.release(source.fetch(url, version=tag_or_branch, cwd=tmp_path))
    served.commit("sub/train.py", "print(3)\n")
    served.git("tag", "--force", "v1")
    served.git("push", "--quiet", "--force", "origin", "main", "v1")
    versions: tuple[str | None, ...] = ("main", "v1", "origin/main", "refs/heads/main", None)
    for version in versions:
        checkout = source.fetch(url, version=version, cwd=tmp_path)
        assert content(checkout.root) == "print(3)\n"
        source.release(checkout)
    served.git("reset", "--quiet", "--hard", "HEAD~2")
    served.git("push", "--quiet", "--force", "origin", "main")
    checkout = source.fetch(url, version="main", cwd=tmp_path)
    assert content(checkout.root) == "print(1)\n"
    assert process.run(("git", "rev-parse", "origin/main"), cwd=checkout.root).stdout.strip() == served.git(
        "rev-parse", "main"
    )
    source.release(checkout)


def test_a_branch_of_a_hostile_server_is_no_path(server: GitServer, served: Repo, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n", "utf-8")
    served.git("push", "--quiet", "origin", "main:other")
    way_out = "../" * 40 + str(victim)[1:]
    server.lies = {b"refs/heads/main": f"refs/heads/{way_out}".encode()}
    checkout = source.fetch(f"{server.url}/iris.git", cwd=tmp_path)
    assert victim.read_text("utf-8") == "mine\n"
    assert content(checkout.root) == "print(2)\n"
    assert checkout.git is not None
    assert checkout.git.branch is None
    source.release(checkout)
    with pytest.raises(SourceError, match="No revision"):
        source.fetch(f"{server.url}/iris.git", version=way_out, cwd=tmp_path)
    assert victim.read_text("utf-8") == "mine\n"


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "a..b", ".a", "a/.b", "a.lock", "a.lock/b", "a b", "a~", "a^", "a:b", "a?", "a*", "a[",
     "/a", "a/", "a//b", "a.", "a@{b", "a\\b", "a\x01", "a\x7f", ""],
)  # fmt: skip
def test_refs_that_git_would_not_write_are_dropped(name: str) -> None:
    oid = "1" * 40
    listing = f"ref: refs/heads/{name}\tHEAD\n{oid}\tHEAD\n{oid}\trefs/heads/{name}\n"
    refs = parse_ls_remote(listing + f"{oid}\trefs/tags/{name}\n")
    assert (refs.head, refs.head_branch, refs.branches, refs.tags) == (oid, None, {}, {})
    assert process.run(("git", "check-ref-format", f"refs/heads/{name}"), check=False).returncode != 0


@pytest.mark.parametrize("name", ["main", "a/b", "@", "-a", "a@b", "a.b", "ä", "a\u2028b", "a'b\"c"])
def test_refs_that_git_would_write_are_kept(name: str) -> None:
    oid = "1" * 40
    listing = f"ref: refs/heads/{name}\tHEAD\n{oid}\tHEAD\n{oid}\trefs/heads/{name}\n"
    refs = parse_ls_remote(listing + f"{oid}\trefs/tags/{name}\n{'2' * 40}\trefs/tags/{name}^{{}}\n")
    assert (refs.head_branch, refs.branches, refs.tags) == (name, {name: oid}, {name: "2" * 40})
    assert process.run(("git", "check-ref-format", f"refs/heads/{name}"), check=False).returncode == 0


def test_a_tree_is_made_on_no_branch_that_leads_out(tmp_path: Path) -> None:
    origin = Origin(objects=tmp_path, commit="1" * 40, committed_at_s=0, branch="../../../victim")
    (tmp_path / "tree").mkdir()
    with pytest.raises(SourceError, match="victim"):
        materialise(tmp_path / "tree", origin)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree"]


def test_a_branch_that_became_a_folder_of_branches(server: GitServer, served: Repo, tmp_path: Path) -> None:
    url = f"{server.url}/iris.git"
    served.git("push", "--quiet", "origin", "main:topic")
    source.release(source.fetch(url, version="topic", cwd=tmp_path))
    served.git("push", "--quiet", "origin", ":topic")
    served.commit("sub/train.py", "print(4)\n")
    served.git("push", "--quiet", "origin", "main:topic/one")
    checkout = source.fetch(url, version="topic/one", cwd=tmp_path)
    assert content(checkout.root) == "print(4)\n"
    source.release(checkout)


@pytest.mark.parametrize("version", ["main~1", "HEAD~1", "v1^{}", "short", "describe"])
def test_other_revisions(server: GitServer, served: Repo, tmp_path: Path, version: str) -> None:
    expected = served.git("rev-parse", "v1^{}")
    named = {"short": expected[:7], "describe": "v1-0-g" + expected[:7]}.get(version, version)
    checkout = source.fetch(f"{server.url}/iris.git", version=named, cwd=tmp_path)
    assert checkout.git is not None
    assert checkout.git.commit == expected
    source.release(checkout)


def test_a_commit_that_no_branch_holds(server: GitServer, served: Repo, tmp_path: Path) -> None:
    commit = served.commit("sub/train.py", "print(9)\n")
    served.git("push", "--quiet", "origin", "main:refs/pull/1/head")
    checkout = source.fetch(f"{server.url}/iris.git", version=commit, cwd=tmp_path)
    assert content(checkout.root) == "print(9)\n"
    source.release(checkout)


@pytest.mark.parametrize(
    ("version", "message", "hint"),
    [
        ("mian", "No revision 'mian'", "Did you mean 'main'?"),
        ("main~9", "No revision 'main~9'", "main"),
        ("abcdef1", "No revision 'abcdef1'", "full hash"),
        ("0" * 40, "No commit 000", "Check the hash"),
        ("-x", "Not a revision", "dash"),
    ],
)
def test_unknown_revisions(server: GitServer, tmp_path: Path, version: str, message: str, hint: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        source.fetch(f"{server.url}/iris.git", version=version, cwd=tmp_path)
    assert hint in str(caught.value.hint)
    assert not list((paths.cache() / "checkouts").glob("*"))


def test_no_such_repository_and_an_empty_one(server: GitServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"No repository at {server.url}/nothing"):
        source.fetch(f"{server.url}/nothing", cwd=tmp_path)
    process.run(("git", "init", "--quiet", "--bare", str(tmp_path / "served/empty.git")))
    with pytest.raises(SourceError, match="has no commits"):
        source.fetch(f"{server.url}/empty.git", cwd=tmp_path)
    assert not any(entry.is_dir() for entry in (paths.cache() / "repos").glob("*"))


def test_an_unreachable_host_offers_the_cached_commit(
    server: GitServer, served: Repo, tmp_path: Path
) -> None:
    url = f"{server.url}/iris.git"
    source.release(source.fetch(url, version="main", cwd=tmp_path))
    server.close()
    with pytest.raises(SourceError, match=r"127\.0\.0\.1 cannot be reached") as caught:
        source.fetch(url, version="main", cwd=tmp_path)
    assert f"-v {served.git('rev-parse', 'main')} runs without network" in str(caught.value.hint)


def test_credentials_of_a_url_work_and_stay_out_of_everything(
    private_server: GitServer, served: Repo, tmp_path: Path, said: list[events.Event]
) -> None:
    secret = "s3cr3t/tok@n"
    url = f"http://ada:s3cr3t%2Ftok%40n@{private_server.host}/iris.git"
    checkout = source.fetch(url + "#sub", cwd=tmp_path)
    assert content(checkout.root) == "print(2)\n"
    assert checkout.uri == f"http://{private_server.host}/iris.git#sub"
    written = b"".join(
        path.read_bytes() for path in paths.cache().rglob("*") if path.is_file() and not path.is_symlink()
    )
    for text in (written.decode("latin-1"), repr(said), repr(checkout)):
        assert secret not in text
        assert "s3cr3t" not in text
    source.release(checkout)
    with pytest.raises(SourceError, match="No repository") as caught:
        source.fetch(url.replace("iris", "absent"), cwd=tmp_path)
    assert "s3cr3t" not in repr((caught.value.args, caught.value.hint, caught.value.details))


def test_credentials_are_not_taken_along_a_redirect(
    private_server: GitServer, server: GitServer, tmp_path: Path
) -> None:
    private_server.redirect_to = server.url
    url = f"http://ada:s3cr3t%2Ftok%40n@{private_server.host}/iris.git"
    source.release(source.fetch(url, cwd=tmp_path))
    assert set(server.authorizations) == {None}


def test_without_credentials_there_is_no_prompt(private_server: GitServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1 asks who you are") as caught:
        source.fetch(f"{private_server.url}/iris.git", cwd=tmp_path)
    assert "credential helper" in str(caught.value.hint)
    wrong = f"http://ada:nope-nope@{private_server.host}/iris.git"
    with pytest.raises(SourceError, match="asks who you are") as caught:
        source.fetch(wrong, cwd=tmp_path)
    assert "nope-nope" not in repr((caught.value.args, caught.value.hint, caught.value.details))


def test_ambient_credentials_are_used(
    private_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password s3cr3t/tok@n\n", "utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    source.release(source.fetch(f"{private_server.url}/iris.git", cwd=tmp_path))
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!printf 'username=ada\\npassword=s3cr3t/tok@n\\n' #")
    source.release(source.fetch(f"{private_server.url}/iris.git", cwd=tmp_path))


def test_ssh_addresses(served: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "ssh"
    stub.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c "$1"\n',
        "utf-8",
    )
    stub.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(stub))
    for uri_ in (f"git@host:{tmp_path}/served/iris.git#sub", f"ssh://git@host{tmp_path}/served/iris.git#sub"):
        checkout = source.fetch(uri_, version="v1", cwd=tmp_path)
        assert content(checkout.root) == "print(1)\n"
        assert checkout.git is not None
        assert checkout.git.repository_url == uri_.removesuffix("#sub")
        source.release(checkout)
    stub.write_text("#!/bin/sh\necho 'git@host: Permission denied (publickey).' >&2\nexit 255\n", "utf-8")
    with pytest.raises(SourceError, match="host asks who you are") as caught:
        source.fetch("git@host:other.git", cwd=tmp_path)
    assert "ssh -T git@host" in str(caught.value.hint)


def test_ssh_never_prompts_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "bin" / "ssh"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexit 255\n', "utf-8")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    with pytest.raises(SourceError):
        source.fetch("git@host:x.git", cwd=tmp_path)
    assert "BatchMode=yes" in (tmp_path / "calls").read_text("utf-8")


def test_variables_that_redirect_git_do_no_harm(
    server: GitServer, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.name for path in (repo.path / ".git").rglob("*"))
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(repo.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repo.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo.path / ".git/index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(repo.path / ".git/objects"))
    checkout = source.fetch(f"{server.url}/iris.git", version="v1", cwd=tmp_path)
    assert content(checkout.root) == "print(1)\n"
    source.release(checkout)
    assert sorted(path.name for path in (repo.path / ".git").rglob("*")) == before


def test_many_runs_at_once_clone_once(server: GitServer, tmp_path: Path) -> None:
    results: list[object] = []

    def run() -> None:
        try:
            checkout = source.fetch(f"{server.url}/iris.git", cwd=tmp_path)
            results.append(content(checkout.root))
            source.release(checkout)
        except BaseException as error:  # noqa: BLE001  shown by the assertion below
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["print(2)\n"] * 6
    # six listings, and one fetch, which asks twice
    assert sum(each.startswith("POST") for each in server.requests) <= 6 + 2
    assert sum(entry.is_dir() for entry in (paths.cache() / "repos").glob("*")) == 1
    assert not list((paths.cache() / "repos").glob(".*"))


def test_progress_is_told(server: GitServer, tmp_path: Path, said: list[events.Event]) -> None:
    source.release(source.fetch(f"{server.url}/iris.git", cwd=tmp_path))
    assert f"Fetching {server.url}/iris.git" in [event.message for event in said if event.kind == "step"]
    assert any(event.kind == "progress" and event.total for event in said)


def test_a_damaged_mirror_is_fetched_anew(
    server: GitServer, served: Repo, tmp_path: Path, said: list[events.Event]
) -> None:
    url, commit = f"{server.url}/iris.git", served.git("rev-parse", "main")
    source.release(source.fetch(url, cwd=tmp_path))
    mirror = Mirror(url).path
    blob = served.git("rev-parse", "main:sub/train.py")
    pack = next((mirror / "objects/pack").glob("*.pack"))
    moved = pack.rename(tmp_path / "pack")
    for rest in (mirror / "objects/pack").iterdir():
        rest.unlink()
    process.run(("sh", "-c", f"git unpack-objects -q < {moved}"), cwd=mirror)
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()
    checkout = source.fetch(url, version=commit, cwd=tmp_path)
    assert content(checkout.root) == "print(2)\n"
    assert any(event.kind == "warning" and "damaged" in event.message for event in said)
    source.release(checkout)


def test_leftovers_of_a_killed_fetch_do_no_harm(server: GitServer, served: Repo, tmp_path: Path) -> None:
    url = f"{server.url}/iris.git"
    source.release(source.fetch(url, cwd=tmp_path))
    mirror = Mirror(url).path
    (mirror / "packed-refs.lock").touch()
    (mirror / "objects/pack/tmp_pack_abc").touch()
    half = mirror.with_name(f".{mirror.name}.0123")
    half.mkdir()
    served.commit("sub/train.py", "print(5)\n")
    served.git("push", "--quiet", "origin", "main")
    checkout = source.fetch(url, cwd=tmp_path)
    assert content(checkout.root) == "print(5)\n"
    assert not half.exists()
    assert not list((mirror / "objects/pack").glob("tmp_*"))
    source.release(checkout)


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_an_interrupted_fetch_leaves_nothing(tmp_path: Path, name: str) -> None:
    """A real process that is stopped while git waits for a server which never answers."""
    stub = tmp_path / "ssh"
    stub.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.tmp; mv {tmp_path}/pid.tmp {tmp_path}/pid\nexec sleep 600\n"
    )
    stub.chmod(0o755)
    script = (
        "import os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "from proj import process, source\n"
        f"pid = Path({str(tmp_path / 'pid')!r})\n"
        "def stop():\n"
        "    while not pid.exists(): time.sleep(0.01)\n"
        f"    os.kill(os.getpid(), signal.SIG{name})\n"
        "threading.Thread(target=stop, daemon=True).start()\n"
        "try:\n"
        "    with process.interruptible():\n"
        "        source.fetch('git@host:x.git', cwd=Path.cwd())\n"
        "except process.Interrupted as stopped:\n"
        "    sys.exit(100 + stopped.signum)\n"
    )
    ended = process.run(
        (sys.executable, "-c", script),
        cwd=tmp_path,
        env={"GIT_SSH_COMMAND": str(stub)},
        check=False,
        timeout_s=110,
    )
    assert ended.returncode == 100 + getattr(signal, f"SIG{name}"), ended.stderr
    assert ended.stderr == ""
    assert not list((paths.cache() / "repos").glob("*x*"))
    assert not list((paths.cache() / "checkouts").glob("*"))


def test_mirror_names_are_safe() -> None:
    for url in ("https://h/a/../..", "https://h/.git", "git@h:a b;c.git", "https://h/" + "x" * 300):
        path = Mirror(url).path
        assert path.parent == paths.cache() / "repos"
        assert re.fullmatch(r"[\w-][\w.-]*", path.name)
        assert len(path.name) < 100
    assert Mirror("https://h/a").path != Mirror("https://h/b").path
    assert uri.redact_url("https://h/a") == "https://h/a"
