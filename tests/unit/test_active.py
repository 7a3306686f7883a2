from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from proj import active
from proj.process.detached import spawn_detached

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from proj.active import Claim
claim = Claim.create(Path(sys.argv[1]))
claim.update(run_id="a" * 32)
print(claim.info.token, flush=True)
time.sleep(600)
"""


def _hold(home: Path) -> tuple[int, str]:
    """Have another process hold a claim; returns its pid and the token."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.execv(sys.executable, [sys.executable, "-c", HOLDER, str(home)])  # noqa: S606  argv, no shell
    os.close(write)
    with os.fdopen(read) as pipe:
        return pid, pipe.readline().strip()


def test_a_claim_is_there_until_it_is_released(tmp_path: Path) -> None:
    claim = active.Claim.create(tmp_path)
    claim.update(run_id="b" * 32, backend="local", reference="pid 1")
    found = active.find(tmp_path, claim.info.token)
    assert found is not None
    assert (found.run_id, found.backend, found.reference, found.pid) == (
        "b" * 32,
        "local",
        "pid 1",
        os.getpid(),
    )
    claim.release()
    assert active.find(tmp_path, claim.info.token) is None
    assert list((tmp_path / "active").iterdir()) == []


def test_only_the_claims_of_the_dead_are_abandoned(tmp_path: Path) -> None:
    pid, token = _hold(tmp_path)
    try:
        assert list(active.abandoned(tmp_path)) == []
        assert not active.wait(tmp_path, token, timeout_s=0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    claims = list(active.abandoned(tmp_path))
    assert [claim.info.token for claim in claims] == [token]
    assert claims[0].info.run_id == "a" * 32
    # Whoever recovers a claim holds it: nobody else recovers it at the same time.
    assert list(active.abandoned(tmp_path)) == []
    claims[0].release()
    assert active.wait(tmp_path, token, timeout_s=0)


def test_waiting_ends_with_the_claim(tmp_path: Path) -> None:
    pid, token = _hold(tmp_path)
    ended: list[bool] = []
    waiter = threading.Thread(target=lambda: ended.append(active.wait(tmp_path, token)))
    waiter.start()
    time.sleep(0.1)
    assert not ended
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    waiter.join(timeout=60)
    assert ended == [True]


def test_a_claim_without_its_real_name_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "active").mkdir()
    (tmp_path / "active" / "0123.new").write_bytes(b"")
    assert list(active.abandoned(tmp_path)) == []
    assert list((tmp_path / "active").iterdir()) == []


def test_a_claim_that_cannot_be_read_is_still_found(tmp_path: Path) -> None:
    (tmp_path / "active").mkdir()
    (tmp_path / "active" / "0123").write_bytes(b"\0garbage")
    claims = list(active.abandoned(tmp_path))
    assert [claim.info.run_id for claim in claims] == [None]
    claims[0].release()


def test_the_lock_goes_over_to_the_process_that_gets_the_open_file(tmp_path: Path) -> None:
    claim = active.Claim.create(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from proj.active import Claim;"
        f"claim = Claim.adopt(Path({str(tmp_path)!r}), {claim.info.token!r}, int(sys.argv[1]));"
        "sys.stdin.read(); time.sleep(600)"
    )
    pid = spawn_detached(
        [sys.executable, "-c", code, str(claim.descriptor)],
        cwd=tmp_path,
        stdin=b"",
        pass_fds=(claim.descriptor,),
        log=tmp_path / "log",
    )
    token = claim.info.token
    claim.hand_over()
    try:
        deadline = time.monotonic() + 60
        while (found := active.find(tmp_path, token)) is None or found.pid != pid:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        assert not active.wait(tmp_path, token, timeout_s=0)
        assert list(active.abandoned(tmp_path)) == []
    finally:
        os.kill(pid, signal.SIGKILL)
    assert active.wait(tmp_path, token, timeout_s=60)
    (left,) = active.abandoned(tmp_path)
    assert left.info.token == token
    left.release()
