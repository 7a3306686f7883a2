"""Row 6: keeping a tree with 100 changes beside `git add -A` into a temporary index; and a clean tree."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

import bench

if TYPE_CHECKING:
    from pathlib import Path

TAKE = """
import os, sys, time
from pathlib import Path
from proj.source import state, snapshot
root, store = Path(sys.argv[1]), Path(sys.argv[2])

def cost():
    return time.perf_counter(), sum(os.times()[:4])

state.git_state(root)
for _ in range(int(sys.argv[3])):
    marks = [cost()]
    state.git_state(root)
    marks.append(cost())
    tree = state.read_worktree(root)
    marks.append(cost())
    snapshot.take(root, store=store, tree=tree)
    marks.append(cost())
    for before, after in zip(marks, marks[1:]):
        print(after[0] - before[0], after[1] - before[1], end=" ")
    print()
    if sys.argv[4:]:
        for bundle in store.glob("*.bundle"):
            bundle.unlink()
"""
"""Within one process, since a run asks git for the tree's state in any case, and imports what it needs."""

ADD = 'mkdir "$2" "$2/objects" && cp "$1/.git/index" "$2/index" && exec git -C "$1" add -A'


def make_repository(folder: Path, files: int) -> None:
    """Commit and push many files."""
    for number in range(files):
        path = folder / f"package{number % 100}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"VALUE = {number}\n" * (number % 50 + 1))
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    remote = folder.with_name("remote.git")
    bench.measure(["git", "init", "-q", "--bare", "-b", "main", remote])
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        [*identity, "commit", "-q", "-m", "Begin"],
        ["repack", "-adq"],
        ["remote", "add", "origin", remote],
        ["push", "-q", "origin", "main"],
        ["status"],
    ):
        bench.measure(["git", "-C", folder, *words])


def change(folder: Path, count: int) -> None:
    """Change some files, and add as many."""
    for number in range(count // 2):
        (folder / f"package{number}" / f"module{number}.py").write_text(f"VALUE = {-number}\n" * 40)
        (folder / f"package{number}" / "new.py").write_text(f"NEW = {number}\n" * 40)


class Costs:
    """Seconds and processor seconds of `git_state`, of reading the tree, and of taking the snapshot."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def measure(self, root: Path, store: Path, rounds: int, *words: str) -> None:
        import subprocess  # noqa: TID251  its output is wanted

        argv = [sys.executable, "-c", TAKE, str(root), str(store), str(rounds), *words]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        self.rows += [[float(word) for word in line.split()] for line in lines]

    def median(self, *stages: int) -> tuple[float, float]:
        seconds = [sum(row[2 * stage] for stage in stages) for row in self.rows]
        cpu_seconds = [sum(row[2 * stage + 1] for stage in stages) for row in self.rows]
        return statistics.median(seconds), statistics.median(cpu_seconds)


options = bench.arguments(__doc__, mlflow=False, files=10_000)
with bench.workplace() as folder:
    root = folder / "project"
    make_repository(root, options.files)
    clean, first, again = Costs(), Costs(), Costs()
    clean.measure(root, folder / "store", options.rounds)
    change(root, 100)
    added = []
    for number in range(options.rounds):
        temporary = folder / f"temporary{number}"
        variables = {
            "GIT_INDEX_FILE": f"{temporary}/index",
            "GIT_OBJECT_DIRECTORY": f"{temporary}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f"{root}/.git/objects",
        }
        added.append(bench.measure(["sh", "-c", ADD, "sh", root, temporary], env=variables))
        first.measure(root, folder / "store", 1, "anew")
        again.measure(root, folder / "other", 1)
    yardstick = bench.seconds(added), bench.cpu_seconds(added)

bench.report(
    f"A snapshot of {options.files:,} files",
    ["what", "median ms", "times git add -A", "CPU ms", "times git add -A"],
    [
        [
            name,
            f"{cost[0] * 1000:.1f}",
            f"{cost[0] / yardstick[0]:.2f}",
            f"{cost[1] * 1000:.0f}",
            f"{cost[1] / yardstick[1]:.2f}",
        ]
        for name, cost in (
            ("git add -A into a temporary index, 100 changes", yardstick),
            ("100 changes, git asked anew", first.median(1, 2)),
            ("100 changes, git's answer shared", first.median(2)),
            ("100 changes, stored before", again.median(1, 2)),
            ("clean: what a run asks git", clean.median(0)),
            ("clean: what the snapshot adds", clean.median(2)),
        )
    ],
)
