"""The program itself: it leaves without taking the interpreter apart, and yet leaves nothing out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from proj import paths, process
from proj.tracking import open_tracking
from proj.tracking.artifacts import local_path
from proj.tracking.store import RunQuery
from proj.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

LEAVING = """
import atexit, sys, threading, time
atexit.register(print, "told at exit")
{before}
sys.argv = ["proj", *{argv}]
from proj.__main__ import main
main()
"""


def leave(*argv: str, before: str = "") -> process.Completed:
    program = LEAVING.format(argv=argv, before=before)
    return process.run([sys.executable, "-c", program], check=False)


def test_it_is_a_module_too() -> None:
    assert process.run([sys.executable, "-m", "proj", "version"]).stdout.startswith(f"proj {__version__} ")


def test_what_is_registered_for_the_end_is_called_and_all_is_written() -> None:
    ended = leave("--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: proj")
    assert ended.stdout.endswith("told at exit\n")


def test_the_exit_code_is_that_of_the_command_line() -> None:
    assert leave("nonsense").returncode == 2


def test_a_thread_at_work_is_waited_for() -> None:
    working = "threading.Thread(target=lambda: (time.sleep(0.3), print('done'))).start()"
    assert "done\n" in leave("version", before=working).stdout


def test_a_profiler_gets_to_the_end() -> None:
    program = """
import sys
from proj.__main__ import main
sys.argv = ["proj", "version"]
sys.setprofile(lambda *_: None)
try:
    main()
finally:
    print("profiled")
"""
    assert process.run([sys.executable, "-c", program]).stdout.endswith("profiled\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere(tmp_path: Path, closed: str) -> None:
    (tmp_path / "MLproject").write_text("entry_points: {main: {command: 'echo said; cat; echo told >&2'}}\n")
    for words in ("runs", "run ."):
        line = f"{sys.executable} -m proj {words} {closed}"
        ended = process.run(["sh", "-c", line], cwd=tmp_path, check=False)
        assert (ended.returncode, "defect" in ended.stderr) == (0, False)
    with open_tracking(paths.home()) as tracking:
        (run,) = tracking.runs.search_runs(RunQuery()).runs
        assert run.status.finished
    folder = local_path(run.artifact_uri)
    assert (folder / "proj/stdout.log").read_bytes() == b"said\n"
    assert (folder / "proj/stderr.log").read_bytes() == b"told\n"
