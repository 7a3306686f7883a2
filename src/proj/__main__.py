"""The program `proj`, also as `python -m proj`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    _open_closed_streams()
    # What is imported is no garbage: to look for some meanwhile takes a twentieth of a no-op run.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from proj.cli import invoke

    _leave(invoke())


def _open_closed_streams() -> None:
    """Let a standard stream that is closed lead nowhere: the next file that is opened would become it."""
    for name, flag in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, flag)  # noqa: PTH123, SIM115  it stays open
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003  its only form
            setattr(sys, name, stream)


def _leave(code: int) -> NoReturn:
    """Exit without taking the interpreter apart first: the system takes all back at once, and that sooner."""
    import threading

    working = any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread())
    if working or sys.gettrace() is not None or sys.getprofile() is not None:
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001  what is registered runs all the same
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):  # Python says what is lost
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    main()
