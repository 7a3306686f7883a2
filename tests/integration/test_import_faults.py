"""Imports that are killed, and then run again."""

from __future__ import annotations

import os
import signal
import subprocess  # noqa: TID251  it is killed
import time
from typing import TYPE_CHECKING

import pytest

from importkit import all_runs, bring, content, mlruns, run_folder
from proj.tracking import open_tracking
from projkit import PROJ

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RUNS = 300
KILLS = 12


def fill(root: Path) -> None:
    """Add runs with long histories and files."""
    parent = run_folder(root, "parent")
    meta = (parent / "meta.yaml").read_text()
    for number in range(RUNS):
        run_id = f"a{number:031x}"
        folder = parent.with_name(run_id)
        (folder / "metrics").mkdir(parents=True)
        (folder / "artifacts").mkdir()
        (folder / "meta.yaml").write_text(meta.replace(parent.name, run_id))
        points = "".join(f"{step} {step / 7} {step}\n" for step in range(200))
        (folder / "metrics" / "loss").write_text(points)
        for name in ("a", "b"):
            (folder / "artifacts" / name).write_bytes(os.urandom(20_000))


def everything(home: Path) -> dict[str, object]:
    """All that is recorded of runs, but for where their files are."""
    with open_tracking(home) as tracking:
        found: dict[str, object] = {}
        for run in all_runs(tracking):
            files = {
                file.path: content(tracking, run.artifact_uri, file.path)
                for file in tracking.artifacts.walk(run.artifact_uri)
            }
            history = tracking.runs.metric_history(run.run_id, "loss")
            found[run.run_id] = (run.status, run.params, run.tags, run.ended_ms, history, files)
        for version in tracking.registry.latest_versions("grapes"):
            found[str(version.version)] = (version.created_ms, version.stage, version.tags)
        return found


def test_an_import_that_is_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    root = mlruns(tmp_path)
    fill(root)
    home = tmp_path / "home"
    started = time.monotonic()
    bring(root, tmp_path / "whole")
    took_s = time.monotonic() - started
    for number in range(KILLS):
        process = subprocess.Popen(
            [PROJ, "import", f"mlflow:{root}"],
            env={**os.environ, "PROJ_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(0.2 + took_s * number / KILLS / 2)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL if number % 3 else signal.SIGINT)
            process.wait(60)
    assert bring(root, home).problem_count == 0
    assert everything(home) == everything(tmp_path / "whole")
    again = bring(root, home)
    assert (again.runs.new, again.runs.changed, again.points, again.files.new) == (0, 0, 0, 0)
    assert not list((home / "artifacts").rglob(".proj-partial-*.*")), (
        "a killed import leaves no file of its own"
    )
