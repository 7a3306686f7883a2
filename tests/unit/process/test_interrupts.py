# ruff: noqa: PT012  what still happens after the signal is the point
from __future__ import annotations

import os
import select
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from proj.process.interrupts import STOP_SIGNALS, Interrupted, deferred, interruptible, waking

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """See that each test leaves the handlers as they were."""
    before = [signal.getsignal(signum) for signum in STOP_SIGNALS]
    yield
    assert [signal.getsignal(signum) for signum in STOP_SIGNALS] == before


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_a_signal_is_raised_where_it_arrives(signum: int) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        signal.raise_signal(signum)
    assert caught.value.signum == signum
    assert str(caught.value) == signal.Signals(signum).name


def test_errors_that_are_survived_do_not_swallow_it() -> None:
    assert not issubclass(Interrupted, Exception)


def test_each_signal_is_raised_once() -> None:
    seen = []
    with interruptible():
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            try:
                signal.raise_signal(signum)
            except Interrupted as interrupted:  # noqa: PERF203  three times
                seen.append(interrupted.signum)
    assert seen == [signal.SIGINT, signal.SIGTERM, signal.SIGINT]


def test_a_critical_section_is_finished_first() -> None:
    done = []
    with pytest.raises(Interrupted) as caught, interruptible():
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            done.append("section")
        done.append("never")
    assert done == ["section"]
    assert caught.value.signum == signal.SIGTERM


def test_nested_sections_end_with_the_outermost() -> None:
    done = []
    with pytest.raises(Interrupted), interruptible(), deferred():
        with deferred():
            signal.raise_signal(signal.SIGINT)
        done.append("inner is over")
    assert done == ["inner is over"]


def test_an_error_in_a_critical_section_gives_way_to_the_signal() -> None:
    with pytest.raises(Interrupted) as caught, interruptible(), deferred():
        signal.raise_signal(signal.SIGINT)
        raise ValueError
    assert isinstance(caught.value.__context__, ValueError)


def test_what_was_taken_is_not_raised() -> None:
    with interruptible():
        with deferred() as pending:
            signal.raise_signal(signal.SIGHUP)
            assert pending.take() == (signal.SIGHUP,)
            assert pending.take() == ()
        with deferred() as pending:
            assert pending.take() == ()


def test_without_interruptible_the_former_handler_gets_it() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        done.append("section")
    assert done == ["section"]


def test_an_ignored_signal_stays_ignored() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(), deferred() as pending:
            signal.raise_signal(signal.SIGHUP)
            assert pending.take() == ()
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_inside_of_another_it_changes_nothing() -> None:
    with pytest.raises(Interrupted), interruptible():
        with interruptible():
            pass
        signal.raise_signal(signal.SIGTERM)


def test_other_threads_are_left_alone() -> None:
    done = []

    def work() -> None:
        with interruptible(), deferred() as pending:
            done.append(pending.take())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [()]


def test_a_signal_wakes_a_select() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    with deferred() as pending, waking(write_fd):
        signal.raise_signal(signal.SIGINT)
        assert select.select([read_fd], [], [], 0)[0]
        assert pending.take() == (signal.SIGINT,)
    os.close(read_fd)
    os.close(write_fd)
