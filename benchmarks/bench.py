"""What the benchmarks share: a place of their own, measured commands taking turns, a table."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROJ = Path(sys.executable).parent / "proj"
CACHE = Path(os.environ.get("BENCH_CACHE", Path.home() / ".cache" / "proj-benchmarks"))
"""Keeps the yardsticks' virtual environment and uv's packages from one time to the next."""


class Sample(NamedTuple):
    """One measured process."""

    seconds: float
    cpu_seconds: float
    """User and system time of it and its children: less disturbed by what else the machine does."""
    peak_mib: float
    """Peak resident memory of the largest process among it and its children."""


class Contender(NamedTuple):
    """One of the commands that take turns."""

    name: str
    argv: Sequence[str | Path]
    before: Callable[[], None] | None = None
    """Called before each turn; not measured."""


@contextmanager
def workplace() -> Iterator[Path]:
    """Yield a temporary folder with a home and a cache for proj and mlflow; only packages are kept."""
    with tempfile.TemporaryDirectory(prefix="proj-bench-") as name:
        folder = Path(name)
        settings = {
            "PROJ_HOME": folder / "home",
            "PROJ_CACHE": folder / "cache",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "MLFLOW_ENV_ROOT": folder / "mlflow-envs",
            "UV_CACHE_DIR": CACHE / "uv",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        kept = dict(os.environ)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ.update({key: str(value) for key, value in settings.items()})
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(kept)


def measure(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Sample:
    """Run a command to its end, its output in a file, and measure it; stop if it fails."""
    words = [str(word) for word in argv]
    words[0] = shutil.which(words[0]) or words[0]
    variables = {**os.environ, **(env or {})}
    with tempfile.TemporaryFile() as output, Path(os.devnull).open("rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
        ]
        start = time.perf_counter()
        pid = os.posix_spawn(words[0], words, variables, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            output.seek(0)
            sys.exit(f"failed: {' '.join(words)}\n{output.read().decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 2**20)


def take_turns(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Sample]]:
    """Run all once to warm up, then `rounds` times in turn: A B A B …, so that all meet the same machine."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            if contender.before is not None:
                contender.before()
            sample = measure(contender.argv)
            if number > 0:
                samples[contender.name].append(sample)
    return samples


def seconds(samples: Sequence[Sample]) -> float:
    """Return the median time."""
    return statistics.median(sample.seconds for sample in samples)


def cpu_seconds(samples: Sequence[Sample]) -> float:
    """Return the median of the processor time."""
    return statistics.median(sample.cpu_seconds for sample in samples)


def added(without: Sequence[Sample], having: Sequence[Sample]) -> float:
    """Return the median of what each turn took longer than the turn beside it."""
    return statistics.median(b.seconds - a.seconds for a, b in zip(without, having, strict=True))


def peak(samples: Sequence[Sample]) -> float:
    """Return the median of the peak memory, in MiB."""
    return statistics.median(sample.peak_mib for sample in samples)


def spread(samples: Sequence[Sample]) -> str:
    """Return least and greatest time."""
    times = [sample.seconds for sample in samples]
    return f"{min(times):.3f} - {max(times):.3f}"


def arguments(
    description: str | None, *, rounds: int = 9, mlflow: bool = True, files: int | None = None
) -> argparse.Namespace:
    """Parse the options that all scripts have, and those that some have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="turns of each command (default: %(default)s)"
    )
    if mlflow:
        parser.add_argument(
            "--mlflow", type=Path, help="a stock mlflow program (default: the newest, installed in the cache)"
        )
    if files is not None:
        parser.add_argument(
            "--files", type=int, default=files, help="files in the repository (default: %(default)s)"
        )
    return parser.parse_args()


def stock_mlflow(given: Path | None) -> Path:
    """Return an mlflow program in a virtual environment of its own; installed where none is given."""
    if given is not None:
        return given
    folder = CACHE / "mlflow"
    program = folder / "bin" / "mlflow"
    if not program.exists():
        print(f"installing mlflow in {folder} …", file=sys.stderr)
        measure([uv(), "venv", "--python", sys.executable, "--clear", folder])
        measure([uv(), "pip", "install", "--python", folder / "bin" / "python", "mlflow"])
    return program


def uv() -> str:
    """Return the uv program that was installed with proj."""
    from uv import find_uv_bin

    return str(find_uv_bin())


def noop_project(folder: Path, python_env: str | None = None) -> Path:
    """Write a project whose command does nothing, with an environment if one is given."""
    folder.mkdir(parents=True)
    declared = ""
    if python_env is not None:
        (folder / "python_env.yaml").write_text(python_env)
        declared = "python_env: python_env.yaml\n"
    (folder / "MLproject").write_text(f"name: noop\n{declared}entry_points:\n  main:\n    command: 'true'\n")
    return folder


def report(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table below a title, the command that made it, and the machine."""
    script = Path(sys.argv[0]).name
    options = " ".join(sys.argv[1:])
    print(f"## {title}\n\n`python benchmarks/{script}{' ' + options if options else ''}`, {_machine()}\n")
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print()


def _machine() -> str:
    model = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(": ")[2]
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return (
        f"{time.strftime('%Y-%m-%d')}: {platform.system()} {platform.release().split('-')[0]}, "
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Python {platform.python_version()}"
    )
