"""Sources under what really happens: many processes, a kill in the middle, a full disk."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from disks import mounted, mounts
from proj import paths, process, source
from proj.errors import SourceError
from projkit import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FETCH = (
    "import os, sys; from pathlib import Path; from proj import source\n"
    "Path('pid').write_text(str(os.getpid()))\n"
    "checkout = source.fetch('git@host:iris.git', cwd=Path.cwd())\n"
    "print((checkout.root / 'big').stat().st_size)\n"
    "source.release(checkout)\n"
)
BIG_BYTES = 3 * 1024**2


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository behind a stand-in for ssh, which counts its calls and hangs while a file `hang` exists."""
    repo = tmp_path / "iris.git"
    process.run(("git", "init", "--quiet", "--initial-branch=main", str(repo)))
    (repo / "big").write_bytes(os.urandom(BIG_BYTES))
    for command in (("add", "big"), ("commit", "--quiet", "--message", "big")):
        process.run(("git", *command), cwd=repo)
    stub = tmp_path / "ssh"
    stub.write_text(
        "#!/bin/sh\n"
        f'echo "$3" >> {tmp_path}/calls\n'
        f"if [ -e {tmp_path}/hang ] && [ $(wc -l < {tmp_path}/calls) -gt 1 ]; then\n"
        f"  cd {tmp_path}; git-upload-pack iris.git | (\n"
        "    dd bs=65536 count=8 2>/dev/null; touch hanging; while [ -e hang ]; do sleep 0.1; done\n"
        "  ); exit 1\n"
        "fi\n"
        f"cd {tmp_path}; exec git-upload-pack iris.git\n",
        "utf-8",
    )
    stub.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(stub))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    return repo


def test_processes_at_once_clone_once(remote: Path, tmp_path: Path) -> None:
    def run(_: int) -> str:
        return process.run((sys.executable, "-c", FETCH), cwd=tmp_path).stdout

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == [f"{BIG_BYTES}\n"] * 4
    assert len((tmp_path / "calls").read_text("utf-8").splitlines()) == 4 + 1
    assert not list((paths.cache() / "repos").glob(".*"))


def test_a_kill_in_the_middle_of_a_clone_is_survived(remote: Path, tmp_path: Path) -> None:
    (tmp_path / "hang").touch()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(process.run, (sys.executable, "-c", FETCH), cwd=tmp_path, check=False)
        eventually((tmp_path / "hanging").exists)
        assert list((paths.cache() / "repos").glob(".*"))
        os.kill(int((tmp_path / "pid").read_text("utf-8")), signal.SIGKILL)
        (tmp_path / "hang").unlink()
        assert running.result().returncode == -signal.SIGKILL
    done = process.run((sys.executable, "-c", FETCH), cwd=tmp_path)
    assert done.stdout == f"{BIG_BYTES}\n"
    assert not list((paths.cache() / "repos").glob(".*"))


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of one MiB."""
    with mounted(tmp_path / "small", "size=1m") as disk:
        monkeypatch.setenv("PROJ_CACHE", str(disk / "cache"))
        yield disk


@mounts
def test_a_full_disk_is_told_and_left_clean(small_disk: Path, remote: Path, tmp_path: Path) -> None:
    process.run(("git", "archive", "--output", str(tmp_path / "big.tar"), "HEAD"), cwd=remote)
    for uri, version in (("git@host:iris.git", None), (str(remote), "main"), ("big.tar", None)):
        with pytest.raises(SourceError, match="disk is full"):
            source.fetch(uri, version=version, cwd=tmp_path)
        left = [path for path in small_disk.rglob("*") if path.is_file() and path.stat().st_size > 0]
        assert left == []
