"""What `proj run` of a no-op imports is pinned: starting Python and importing is most of a short run's cost.

A test that fails here names a newcomer. Import it inside the function that needs it. If every run does need
it, add it to the table below with the reason, and measure what it costs: `python benchmarks/noop.py`. A
module of ours costs about a tenth of a millisecond, however little is in it; so does a pattern.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from proj import process

if TYPE_CHECKING:
    from collections.abc import Mapping

THIRD_PARTY = {"click", "msgspec", "platformdirs", "typing_extensions"}
"""typing_extensions is msgspec's, where it is installed. What was read before needs no yaml."""

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

OURS = """
    active aside assigning assignment closing creating errors events exitcodes files host model
    parameters paths place planning ranimage record recording recovery registry reuse runner snapshots
    supervise times users values version
    backends backends.ends backends.local backends.local_outcome backends.metrics_tap
    cli cli.complete cli.options cli.output cli.run
    command command.escapes command.layout command.lexer command.problem command.quotes command.render
    command.template command.words
    environments environments.asof environments.cache environments.current environments.facts
    environments.numerics environments.origins environments.select environments.system
    process process.demands process.exits process.group process.guard process.interrupts process.ladder
    process.outputs process.redact process.run process.spawn process.streams process.supervise
    projectfile projectfile.entrypoints projectfile.files projectfile.findings projectfile.remembered
    server server.endpoint
    source source.bundle source.contents source.digests source.files source.git source.ignored source.limit
    source.local source.memory source.names source.parts source.secretfiles source.snapshot source.state
    source.survey source.uri source.worktree
    tracking tracking.artifact_stores tracking.artifacts tracking.database tracking.local tracking.naming
    tracking.records tracking.sqlite tracking.sqlite_experiments tracking.values
"""
"""Our own modules on the way of a second run of the same; what the first one needs does not count."""

PROGRAMS = ["sh", "git", "bash"]
"""What a run starts: the watchdog, the list of files, the command."""

REPORT = """
import re, sys
before = set(sys.modules)
started, compiled = [], []
def hear(event, arguments):
    if event == "subprocess.Popen":
        started.append(arguments[1][0])
    elif event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system"):
        started.append(event)
sys.addaudithook(hear)
def listen(pattern, flags=0, compile=re.compile):
    frame = sys._getframe(1)
    module = frame.f_globals["__name__"]
    while module.startswith("proj.") and frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"].startswith("proj."):
            compiled.append(module)
            break
        frame = frame.f_back
    return compile(pattern, flags)
re.compile = listen
exec(sys.argv.pop(1))
loaded = sorted(set(sys.modules) - before)
import json
sys.__stdout__.write("\\n" + json.dumps({"modules": loaded, "programs": started, "patterns": compiled}))
"""
RUN = "from proj.cli import invoke; assert invoke(sys.argv[1:]) == 0"


class Report(NamedTuple):
    """What a program has done by its end."""

    modules: set[str]
    programs: list[str]
    """Those that it has started."""
    patterns: list[str]
    """Modules of ours that compile one when they are imported, once for each."""

    @property
    def ours(self) -> set[str]:
        return {name.removeprefix("proj.") for name in self.modules if name.startswith("proj.")}


def report(program: str, *argv: str, env: Mapping[str, str] | None = None) -> Report:
    done = process.run([sys.executable, "-I", "-c", REPORT, program, *argv], env=env)
    found = json.loads(done.stdout.splitlines()[-1])
    return Report(set(found["modules"]), found["programs"], found["patterns"])


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The second run of a no-op."""
    folder = tmp_path_factory.mktemp("noop")
    (folder / "MLproject").write_text("name: noop\nentry_points:\n  main:\n    command: 'true'\n")
    places = {name: str(tmp_path_factory.mktemp(name)) for name in ("PROJ_HOME", "PROJ_CACHE")}
    env = {**places, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    report(RUN, "run", str(folder), env=env)
    return report(RUN, "run", str(folder), env=env)


def advice(newcomers: object) -> str:
    return f"a no-op run imports {newcomers}: see what {__file__} says about that"


def test_a_run_imports_few_third_parties(run: Report) -> None:
    others = {name for name in tops(run.modules) - {"proj"} - sys.stdlib_module_names if "cython" not in name}
    assert others <= THIRD_PARTY, advice(others - THIRD_PARTY)


def test_a_run_imports_little_of_the_standard_library(run: Report) -> None:
    loaded = tops(run.modules - report(PAID).modules)
    newcomers = {name for name in loaded & sys.stdlib_module_names if not name.startswith("_")}
    newcomers -= STANDARD_LIBRARY.keys()
    assert not newcomers, advice(newcomers)


def test_a_run_imports_nothing_slow(run: Report) -> None:
    slow = run.modules & SLOW
    assert not slow, advice(slow)


def test_a_run_imports_no_more_of_ours_than_it_needs(run: Report) -> None:
    known = set(OURS.split())
    assert run.ours <= known, advice(run.ours - known)
    assert known <= run.ours, f"no longer imported, so not to be listed: {known - run.ours}"


def test_a_run_compiles_no_pattern_before_it_is_needed(run: Report) -> None:
    assert not run.patterns, f"compiled on import by {run.patterns}: write re.fullmatch(TEXT, …) instead"


def test_a_run_starts_few_programs(run: Report) -> None:
    assert [os.path.basename(name) for name in run.programs] == PROGRAMS  # noqa: PTH119  a word


def test_help_imports_no_command() -> None:
    found = report(RUN, "--help")
    assert {name for name in found.modules if name.startswith("proj.cli.")} == {"proj.cli.output"}
    assert not found.modules & {"proj.runner", "proj.model", "yaml", "sqlite3"}
    assert not found.patterns
    slow = found.modules & SLOW - {"shutil"}  # click asks it for the width of the terminal
    assert not slow, advice(slow)


def test_the_package_itself_imports_nothing() -> None:
    found = report("import proj; proj.__version__")
    assert {name for name in found.modules if name.startswith("proj")} <= {"proj", "proj.version"}
