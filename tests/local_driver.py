"""Runs one command through the local backend in a process of its own, so that a test can treat it badly.

Usage: local_driver.py FOLDER LINE [OPTION=JSON …]; the outcome becomes FOLDER/outcome.json.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import msgspec

from proj import process
from proj.backends.local import LocalBackend
from proj.model import Command, Execution, HostRuntime, Outcome


def execution(folder: Path, line: str, **options: object) -> Execution:
    """An execution of a shell line with short grace."""
    values = {
        "run_id": "0" * 32,
        "run_name": "driven",
        "project_name": "driven",
        "command": Command(line=line, argv=("bash", "-c", line), cwd=str(folder)),
        "runtime": HostRuntime(),
        "variables": {"FOLDER": str(folder)},
        "record_dir": str(folder),
        "grace_s": 5.0,
        **options,
    }
    return msgspec.convert(values, Execution)


def main() -> None:
    folder = Path(sys.argv[1])
    options = dict(option.split("=", 1) for option in sys.argv[3:])
    run = execution(folder, sys.argv[2], **{name: json.loads(value) for name, value in options.items()})
    with process.deferred():  # as the runner does: a signal between the two is not lost
        outcome: Outcome = LocalBackend().submit(run).wait()
    temporary = folder / "outcome.new"
    temporary.write_bytes(msgspec.json.encode(outcome))
    temporary.rename(folder / "outcome.json")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (folder / "peak_kib").write_text(str(peak))


if __name__ == "__main__":
    main()
