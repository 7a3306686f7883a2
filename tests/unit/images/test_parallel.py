from __future__ import annotations

import threading

import pytest

from proj.images.parallel import run_all


def test_all_jobs_are_run_and_some_at_the_same_time() -> None:
    barrier = threading.Barrier(3)
    done: list[int] = []

    def job() -> None:
        barrier.wait(60)
        done.append(1)

    run_all([job] * 6, at_once=3)
    assert len(done) == 6


def test_a_failure_ends_the_wait_and_what_has_not_begun() -> None:
    release = threading.Event()
    begun: list[int] = []

    def fail() -> None:
        raise ValueError("first")

    def wait() -> None:
        begun.append(1)
        release.wait(60)

    with pytest.raises(ValueError, match="first"):
        run_all([wait, fail, *[wait] * 20], at_once=2)
    release.set()
    assert len(begun) <= 3


def test_nothing_to_do_is_done() -> None:
    run_all([], at_once=4)
