"""Packages of the cache that several processes use at once."""

from __future__ import annotations

import subprocess  # noqa: TID251  another process, for locks are those of a process
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.messages import Locked, Network
from proj.environments.conda.verified import claim, note
from projkit import eventually

if TYPE_CHECKING:
    from pathlib import Path

LOCKED = Locked(url="https://h.example/noarch/x-1.0-0.conda", sha256="a" * 64)
USER = """
import sys
from proj.environments.conda.messages import Locked, Network
from proj.environments.conda.verified import claim, note
locked, network = Locked(url=sys.argv[1], sha256="a" * 64), Network(cache=sys.argv[2])
using = claim([locked], network)
print("claimed", flush=True)
if sys.stdin.readline():
    note(locked, network)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_package_that_another_is_about_to_use_is_waited_for(tmp_path: Path, ends_well: bool) -> None:
    network, folder = Network(cache=str(tmp_path)), tmp_path / "packages" / "x-1.0-0"
    argv = [sys.executable, "-c", USER, LOCKED.url, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdin is not None
        assert user.stdout is not None
        assert user.stdout.readline() == b"claimed\n"
        folder.mkdir()  # by rattler, for them
        claimed = threading.Event()

        def wait() -> None:
            with claim([LOCKED], network):
                claimed.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not claimed.wait(0.3)
        assert folder.is_dir()
        if ends_well:
            user.stdin.write(b"\n")
            user.stdin.flush()
        else:
            user.kill()
        eventually(claimed.is_set)
        assert folder.is_dir() is ends_well
        thread.join()
    assert not list(tmp_path.glob("removed-*"))


def test_what_is_known_is_kept_and_what_is_not_is_had_anew(tmp_path: Path) -> None:
    network, folder = Network(cache=str(tmp_path)), tmp_path / "packages" / "x-1.0-0"
    folder.mkdir(parents=True)
    claim([LOCKED], network).close()
    assert not folder.exists()
    folder.mkdir()
    note(LOCKED, network)
    claim([LOCKED], network).close()
    assert folder.is_dir()
    other = Locked(url=LOCKED.url, sha256="b" * 64)
    claim([other], Network(cache=str(tmp_path), offline=True)).close()
    assert folder.is_dir()
    claim([other], network).close()
    assert not folder.exists()
