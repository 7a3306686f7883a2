"""What runs elsewhere: its output comes by threads, its end too, and requests to stop it go there."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import LIMIT_S, few_descriptors, left_open, opened, until
from proj.process import following
from proj.process.following import Following, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class Elsewhere:
    """Something that runs: threads of it feed, and it answers the signals that are sent to it."""

    def __init__(
        self,
        folder: Path,
        *pieces: tuple[int, bytes],
        ends: bool = True,
        obeys: signal.Signals | None = None,
        silent_end: bool = False,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.sent: list[signal.Signals] = []
        self._pieces = pieces
        self._ends = ends
        self._obeys = obeys
        self._silent_end = silent_end
        self.following = Following(folder, **{"grace_s": 0.05, "quiet": True, **options})

    def wait(self, *, meanwhile: Callable[[], object] | None = None) -> Stopped:
        """Follow it; the thread that feeds is over when this returns."""
        threads = [threading.Thread(target=self._feed)]
        if meanwhile is not None:
            threads.append(threading.Thread(target=meanwhile))
        for thread in threads:
            thread.start()
        stopped = self.following.wait(self._send)
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        return stopped

    def stored(self, name: str = "stdout") -> bytes:
        return (self.folder / f"{name}.log").read_bytes()

    def _feed(self) -> None:
        for number, data in self._pieces:
            self.following.feed(number, data)
        if not self._silent_end:
            self.following.end_output()
        if self._ends:
            self.following.end()

    def _send(self, signum: signal.Signals) -> None:
        self.sent.append(signum)
        if signum is self._obeys:
            self.following.end()


def _joined(pieces: Iterable[tuple[int, bytes]], number: int) -> bytes:
    return b"".join(data for each, data in pieces if each == number)


def test_all_that_is_fed_is_stored_by_stream(tmp_path: Path) -> None:
    pieces = ((1, b"one\n"), (2, b"bad\n"), (1, b""), (1, b"two"))
    ran = Elsewhere(tmp_path, *pieces)
    assert ran.wait() == Stopped()
    assert (ran.stored(), ran.stored("stderr")) == (b"one\ntwo", b"bad\n")


@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pieces=st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(max_size=700)), max_size=40))
def test_no_piece_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]]
) -> None:
    ran = Elsewhere(tmp_path_factory.mktemp("ran"), *pieces)
    assert ran.wait() == Stopped()
    assert (ran.stored(), ran.stored("stderr")) == (_joined(pieces, 1), _joined(pieces, 2))


def test_more_than_pipes_hold_is_fed_before_anybody_waits(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    ran = Elsewhere(tmp_path, (1, data), (2, data[:100]))
    assert ran.wait() == Stopped()
    assert (ran.stored(), ran.stored("stderr")) == (data, data[:100])


def test_output_that_comes_after_the_end_is_taken(tmp_path: Path) -> None:
    ran = Elsewhere(tmp_path, ends=False, silent_end=True)

    def meanwhile() -> None:
        ran.following.end()
        time.sleep(0.1)
        ran.following.feed(1, b"late\n")
        ran.following.end_output()

    assert ran.wait(meanwhile=meanwhile) == Stopped()
    assert ran.stored() == b"late\n"


def test_what_is_stored_already_is_kept(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"before\n")
    ran = Elsewhere(tmp_path, (1, b"after\n"))
    ran.wait()
    assert ran.stored() == b"before\nafter\n"


def test_output_whose_end_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_SILENCE_S", 0.2)
    ran = Elsewhere(tmp_path, (1, b"so far\n"), silent_end=True)
    assert ran.wait() == Stopped(output_cut=True)
    assert ran.stored() == b"so far\n"
    ran.following.feed(1, b"x" * (1 << 20))  # whom nobody reads any more, it is not kept waiting
    ran.following.end_output()


def test_the_tap_sees_stdout_and_its_end(tmp_path: Path) -> None:
    seen: list[bytes] = []
    ran = Elsewhere(tmp_path, (1, b"a"), (2, b"b"), (1, b"c"), tap=seen.append)
    ran.wait()
    assert b"".join(seen) == b"ac"
    assert seen[-1] == b""


def test_a_reader_of_ours_gets_it_too(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ran = Elsewhere(tmp_path, (1, b"out\xff\n"), (2, b"err\n"), quiet=False)
    ran.wait()
    assert tuple(capfdbinary.readouterr()) == (b"out\xff\n", b"err\n")
    assert ran.stored() == b"out\xff\n"


# --- being stopped ------------------------------------------------------------------------------------


def test_cancelling_asks_by_one_signal_after_the_other(tmp_path: Path) -> None:
    ran = Elsewhere(tmp_path, ends=False, obeys=signal.SIGKILL)
    stopped = ran.wait(meanwhile=ran.following.cancel)
    assert stopped == Stopped(cause="cancelled", last_sent=signal.SIGKILL)
    assert ran.sent == [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


def test_what_obeys_is_not_asked_again(tmp_path: Path) -> None:
    ran = Elsewhere(tmp_path, ends=False, obeys=signal.SIGINT, grace_s=60.0)
    assert ran.wait(meanwhile=ran.following.cancel) == Stopped(cause="cancelled", last_sent=signal.SIGINT)
    assert ran.sent == [signal.SIGINT]


def test_a_time_limit_is_a_cause_of_its_own(tmp_path: Path) -> None:
    deadline = time.monotonic() + 0.1
    ran = Elsewhere(tmp_path, ends=False, obeys=signal.SIGTERM, deadline=deadline)
    assert ran.wait() == Stopped(cause="deadline", last_sent=signal.SIGTERM)
    assert time.monotonic() >= deadline


def test_an_end_before_the_time_limit_is_its_own(tmp_path: Path) -> None:
    ran = Elsewhere(tmp_path, deadline=time.monotonic() + 60)
    assert ran.wait() == Stopped()
    assert ran.sent == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_us_goes_there(tmp_path: Path, signum: signal.Signals) -> None:
    first = signal.SIGINT if signum is signal.SIGINT else signal.SIGTERM
    ran = Elsewhere(tmp_path, ends=False, obeys=first, grace_s=60.0)

    former = signal.getsignal(signum)

    def meanwhile() -> None:
        until(lambda: signal.getsignal(signum) is not former, "signals are taken by who waits")
        os.kill(os.getpid(), signum)

    assert ran.wait(meanwhile=meanwhile) == Stopped(cause="cancelled", asked_by=signum, last_sent=first)
    assert ran.sent == [first]


def test_whoever_is_slow_to_send_keeps_nobody_from_following(tmp_path: Path) -> None:
    """The engine may be away when it is asked to send a signal; what it runs may end all the same."""
    ran = Elsewhere(tmp_path, ends=False, grace_s=60.0)
    asked, over = threading.Event(), threading.Event()

    def send(_: signal.Signals) -> None:
        asked.set()
        over.wait(LIMIT_S)

    def meanwhile() -> None:
        ran.following.cancel()
        asked.wait(LIMIT_S)
        ran.following.feed(1, b"still here\n")
        ran.following.end_output()
        ran.following.end()

    threading.Thread(target=meanwhile).start()
    assert ran.following.wait(send).cause == "cancelled"
    assert not over.is_set()
    over.set()
    assert ran.stored() == b"still here\n"


# --- what it leaves -----------------------------------------------------------------------------------


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = opened()
    Elsewhere(tmp_path, (1, b"x")).wait()
    Elsewhere(tmp_path).following.discard()
    assert not left_open(before)


def test_a_log_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "stderr.log").mkdir()
    before = opened()
    with pytest.raises(OSError, match=r"stderr\.log"):
        Elsewhere(tmp_path)
    assert not left_open(before)


@pytest.mark.parametrize("free", range(8))
def test_too_few_descriptors_leave_nothing_open(tmp_path: Path, free: int) -> None:
    before = opened()
    with few_descriptors(free), pytest.raises(OSError, match="Too many open files"):
        Elsewhere(tmp_path)
    assert not left_open(before)


def test_events_after_the_end_are_no_error(tmp_path: Path) -> None:
    ran = Elsewhere(tmp_path)
    ran.wait()
    ran.following.cancel()
    ran.following.end()
    ran.following.end_output()
