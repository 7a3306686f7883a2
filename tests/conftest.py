"""What all tests share: isolation from the user's machine, and a guard on what unmarked tests may touch."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["projkit", "clients", "registrykit", "dockerkit", "clusterkit", "channelkit", "condarunkit"]

MARKERS = {
    "network": "needs a package index",
    "slow": "takes more than a few seconds",
    "faults": "kills and interrupts proj at every stage",
    "tmux": "needs tmux",
    "cluster": "needs a Kubernetes cluster",
    "conda": "makes a conda channel of an installed Python, and environments from it",
    "clients": "makes virtualenvs of stock mlflow clients from a package index",
    "registry": "needs docker-registry, a registry for images",
    "docker": "needs a docker daemon",
}
"""Marker -> why a test that carries it is not part of the default run."""

_WITH = frozenset(filter(None, os.environ.get("PROJ_TEST_WITH", "").replace(",", " ").split()))
"""`PROJ_TEST_WITH="network slow"`, or `all`, switches markers on; what is on and absent is a failure.

`all -cluster` switches all on but one.
"""


def _on(name: str) -> bool:
    return name in _WITH or ("all" in _WITH and f"-{name}" not in _WITH)


for _signum, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
):
    # Shells start what they put into the background with INT and QUIT ignored, `nohup` with HUP, and whatever
    # we start would inherit that: the tests that interrupt it would wait for ever.
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(_signum, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name, why in MARKERS.items():
            if item.get_closest_marker(name) and not _on(name):
                item.add_marker(pytest.mark.skip(reason=f"{why}: PROJ_TEST_WITH={name}"))
    # What may take long comes first: at the end, all of pytest's workers would wait for the one that has it.
    items.sort(key=_limit_s, reverse=True)


def _limit_s(item: pytest.Item) -> float:
    """How long a test may take, if it says so."""
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit is not None and limit.args else 0.0


def _skipped(reporter: Any) -> list[Any]:
    """The tests that were left out; a contract that says "this does not apply here" is no omission."""
    off = tuple(f"PROJ_TEST_WITH={name}" for name in MARKERS if not _on(name))
    return [
        report
        for report in reporter.stats.get("skipped", [])
        if "proj/testing" not in str(report.longrepr) and not any(why in str(report.longrepr) for why in off)
    ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = _skipped(terminalreporter)
    if "all" in _WITH and skipped:
        terminalreporter.write_line(f"PROJ_TEST_WITH=all, but {len(skipped)} tests were skipped", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if "all" in _WITH and reporter is not None and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """See that a test leaves the process as it was; set up before monkeypatch, checked after its undoing."""
    folder, variables = Path.cwd(), dict(os.environ)
    yield
    assert Path.cwd() == folder, "the test changed the working directory"
    changed = {name for name in {*variables, *os.environ} if variables.get(name) != os.environ.get(name)}
    assert not changed - {"PYTEST_CURRENT_TEST"}, f"the test changed os.environ: {changed}"


@pytest.fixture(autouse=True)
def _isolated(
    _unchanged: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Give each test a home, caches and git settings of its own."""
    base = tmp_path_factory.mktemp("proj")
    monkeypatch.setenv("PROJ_HOME", str(base / "home"))
    monkeypatch.setenv("PROJ_CACHE", str(base / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("CONDARC", str(base / "condarc"))
    monkeypatch.setenv("RATTLER_AUTH_FILE", str(base / "auth.json"))
    for name in list(os.environ):
        if name.startswith(
            (
                "MLFLOW_",
                "PROJ_RUN",
                "PROJ_EN",
                "PROJ_GUARD",
                "PROJ_TRACKING",
                "PROJ_ARTIFACT",
                "PROJ_CONDA",
                "PROJ_DROP",
                "CONDA_",
                "MAMBA_",
            )
        ):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _guarded(
    _unchanged: None,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Fail an unmarked test that goes beyond loopback, or starts what belongs to a marker."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            assert host in ("::1", "localhost") or host.startswith("127."), (
                f"unmarked test connects to {host}"
            )
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path_factory.getbasetemp() / "guarded-programs"
    if not folder.exists():
        _write_refusals(folder)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _write_refusals(folder: Path) -> None:
    folder.mkdir()
    for program in ("docker", "conda", "mamba", "micromamba", "kubectl"):
        script = folder / program
        script.write_text(f"#!/bin/sh\necho 'an unmarked test starts {program}' >&2\nexit 97\n")
        script.chmod(0o755)
