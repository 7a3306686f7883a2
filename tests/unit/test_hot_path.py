"""What `proj run` of a no-op imports is pinned: starting Python and importing is most of a short run's cost.

A test that fails here names a newcomer. Import it inside the function that needs it. If every run does need
it, add it to the table below with the reason, and measure what it costs: `python benchmarks/noop.py`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from proj import process

if TYPE_CHECKING:
    from pathlib import Path

THIRD_PARTY = {"click", "yaml", "_yaml", "msgspec", "platformdirs", "typing_extensions"}
"""typing_extensions is msgspec's, where it is installed; what Cython brings is yaml's."""

# What comes with these is paid for anyway; it differs from one Python to the next.
PAID = "import click, yaml, msgspec, sqlite3, subprocess, threading, pathlib, gc"

STANDARD_LIBRARY = {
    "atexit": "the guard of the processes is told when we go",
    "contextvars": "events go to whoever listens in this context",
    "encodings": "files with a byte order mark are read, too",
    "fcntl": "locks of claims, and terminals",
    "ipaddress": "of urllib",
    "locale": "of gettext, on Python 3.10",
    "platform": "the host",
    "pwd": "who runs it",
    "termios": "terminals",
    "resource": "peak memory of the command",
    "shlex": "values are quoted",
    "urllib": "a project may be a URL",
}
"""Module beyond those -> what every run needs it for."""

SLOW = {
    *(
        "argparse",
        "asyncio",
        "cProfile",
        "concurrent.futures",
        "configparser",
        "csv",
        "ctypes",
        "dataclasses",
    ),
    *("difflib", "doctest", "email", "ftplib", "hashlib", "hmac", "http", "importlib.metadata", "json"),
    *("logging.config", "multiprocessing", "optparse", "pickle", "pprint", "pydoc", "queue", "random"),
    *("secrets", "shutil", "socketserver", "ssl", "statistics", "tarfile", "tempfile", "tomllib", "unittest"),
    *("urllib.error", "urllib.request", "xml", "xmlrpc", "zipfile"),
}
"""What must not come in by a third party's door either."""

REPORT = """
import json, sys
before = set(sys.modules)
exec(sys.argv.pop(1))
sys.__stdout__.write("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""
OF_IMAGES = {"proj.command.compiled", "proj.images"}
"""Of ours, what only runs in containers need."""
RUN = "from proj.cli import invoke; assert invoke(sys.argv[1:]) == 0"


def imported(program: str, *argv: str) -> set[str]:
    """Modules that a program has imported by its end."""
    done = process.run([sys.executable, "-I", "-c", REPORT, program, *argv])
    return set(json.loads(done.stdout.splitlines()[-1]))


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.fixture
def noop(tmp_path: Path) -> str:
    (tmp_path / "MLproject").write_text("name: noop\nentry_points:\n  main:\n    command: 'true'\n")
    return str(tmp_path)


def advice(newcomers: object) -> str:
    return f"a no-op run imports {newcomers}: see what {__file__} says about that"


def test_a_run_imports_few_third_parties(noop: str) -> None:
    loaded = tops(imported(RUN, "run", noop))
    others = {name for name in loaded - {"proj"} - sys.stdlib_module_names if "cython" not in name}
    assert others <= THIRD_PARTY, advice(others - THIRD_PARTY)


def test_a_run_imports_little_of_the_standard_library(noop: str) -> None:
    loaded = tops(imported(RUN, "run", noop) - imported(PAID))
    newcomers = {name for name in loaded & sys.stdlib_module_names if not name.startswith("_")}
    newcomers -= STANDARD_LIBRARY.keys()
    assert not newcomers, advice(newcomers)


def test_a_run_imports_nothing_slow(noop: str) -> None:
    loaded = imported(RUN, "run", noop)
    slow = loaded & (SLOW | OF_IMAGES)
    assert not slow, advice(slow)


def test_a_run_imports_no_other_command(noop: str) -> None:
    commands = {name for name in imported(RUN, "run", noop) if name.startswith("proj.cli.")}
    shared = {"proj.cli.complete", "proj.cli.options", "proj.cli.output"}
    assert commands <= {*shared, "proj.cli.run"}, advice(commands)


def test_help_imports_no_command() -> None:
    loaded = imported(RUN, "--help")
    assert {name for name in loaded if name.startswith("proj.cli.")} == {"proj.cli.output"}
    assert not loaded & {"proj.runner", "proj.model", "yaml", "sqlite3"}
    slow = loaded & SLOW - {"shutil"}  # click asks it for the width of the terminal
    assert not slow, advice(slow)


def test_the_package_itself_imports_nothing() -> None:
    loaded = imported("import proj; proj.__version__")
    assert {name for name in loaded if name.startswith("proj")} <= {"proj", "proj.version"}
