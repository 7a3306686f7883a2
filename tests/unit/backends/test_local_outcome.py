"""The kernel's memory counters, laid out in files as it does; the rest is shown with real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.backends.local_outcome import MemoryWitness, outcome_of
from proj.errors import FailureCode
from proj.process import Ending
from proj.testing.backends import execution_maker

if TYPE_CHECKING:
    from pathlib import Path


def counters(root: Path, **files: str) -> None:
    for name, content in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


@pytest.mark.parametrize(
    ("membership", "counter", "content"),
    [
        ("0::/run/me", "sys/fs/cgroup/run/me/memory.events", "low 0\noom 1\noom_kill {}\noom_group_kill 0\n"),
        (
            "9:cpu,cpuacct:/x\n4:memory:/run/me\n0::/",
            "sys/fs/cgroup/memory/run/me/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
        ),
        ("", "proc/vmstat", "nr_free_pages 5\noom_kill {}\nnuma_hit 1\n"),
    ],
)
def test_a_kill_is_seen(tmp_path: Path, membership: str, counter: str, content: str) -> None:
    counters(tmp_path, proc__self__cgroup=membership)
    file = tmp_path / counter
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content.format(3))
    witness = MemoryWitness(tmp_path)
    assert not witness.saw_a_kill()
    file.write_text(content.format(4))
    assert witness.saw_a_kill()


def test_our_own_group_counts_before_the_machine(tmp_path: Path) -> None:
    counters(tmp_path, proc__self__cgroup="0::/me", proc__vmstat="oom_kill 1\n")
    events_file = tmp_path / "sys/fs/cgroup/me/memory.events"
    events_file.parent.mkdir(parents=True)
    events_file.write_text("oom_kill 0\n")
    witness = MemoryWitness(tmp_path)
    counters(tmp_path, proc__vmstat="oom_kill 2\n")
    assert not witness.saw_a_kill()


def test_a_system_without_counters_has_seen_nothing(tmp_path: Path) -> None:
    assert not MemoryWitness(tmp_path).saw_a_kill()


@pytest.mark.parametrize(
    ("returncode", "failure", "words"),
    [
        (-9, FailureCode.OOM_KILLED, "memory ran out"),
        (137, FailureCode.OOM_KILLED, "memory ran out"),
        (1, FailureCode.USER_EXIT, "exit code 1. Meanwhile the kernel killed a process because memory"),
        (-11, FailureCode.SIGNAL, "SIGSEGV"),
    ],
)
def test_a_kill_for_memory_explains_an_end(
    tmp_path: Path, returncode: int, failure: FailureCode, words: str
) -> None:
    ending = Ending(returncode=returncode, ended_ms=2, peak_memory_bytes=None)
    outcome = outcome_of(ending, execution_maker(tmp_path)("x"), started_ms=1, out_of_memory=True)
    assert outcome.failure is failure
    assert words in (outcome.message or "")
