"""A tracking server that is killed and comes back at the same address with the same records."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # noqa: TID251  what the tests kill must not be looked after by what they test
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clients import QUIET
from ports import own_port
from projkit import LIMIT_S, PROJ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["proj", "mlflow"]


class RestartableServer:
    """Ours or mlflow's.

    Args:
        folder: For its records and its log.
        kind: Which one.
        python: Of the virtualenv that mlflow's is in.
        options: Of `proj server`.
    """

    def __init__(
        self, folder: Path, kind: Kind, python: Path | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.kind = kind
        self.headers: Mapping[str, str] = {}
        """For what the test itself asks."""
        folder.mkdir()
        self._port = own_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._argv, self._variables = (
            self._ours(options) if kind == "proj" or python is None else self._theirs(python)
        )

    def _ours(self, options: tuple[str, ...]) -> tuple[list[str], dict[str, str | None]]:
        return [PROJ, "server", "--port", str(self._port), *options], {
            "PROJ_HOME": str(self.folder / "home"),
            "PROJ_TRACKING_URI": None,
        }

    def _theirs(self, python: Path) -> tuple[list[str], dict[str, str | None]]:
        argv = [str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(self._port)]
        argv += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        argv += ["--artifacts-destination", str(self.folder / "artifacts")]
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        variables = {"PATH": path, "MLFLOW_TRACKING_URI": None, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        return argv, {**QUIET, **variables}

    def start(self) -> RestartableServer:
        """Start it, and wait until it answers."""
        changed = {**os.environ, **self._variables}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self.folder,
                env={name: value for name, value in changed.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await(self._process)
        except BaseException:
            self.kill()
            raise
        return self

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 3 * LIMIT_S
        while True:
            said = (self.folder / "server.log").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()  # noqa: S310  our own server
                return
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without ceremony."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Take connections, and say nothing any more."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)

    def call(self, path: str, **fields: Any) -> Any:
        """Ask the API; with fields by POST."""
        url = f"{self.url}/api/2.0/mlflow/{path}"
        body = msgspec.json.encode(fields) if fields else None
        headers = {"Content-Type": "application/json", **self.headers}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:  # noqa: S310  same
            return msgspec.json.decode(answer.read())

    def runs(self) -> list[Any]:
        """All runs of all experiments, newest first."""
        experiments = self.call("experiments/search", max_results=100)["experiments"]
        ids = [each["experiment_id"] for each in experiments]
        found: list[Any] = self.call("runs/search", experiment_ids=ids).get("runs", [])
        return found

    def the_run(self) -> Any:
        (run,) = self.runs()
        return run

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """The points of a metric: step and value."""
        query = f"metrics/get-history?run_id={run_id}&metric_key={key}"
        return [(int(point["step"]), point["value"]) for point in self.call(query)["metrics"]]
