"""What is left of an export or import that is killed, or whose disk is full."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
import sys
import time
from typing import TYPE_CHECKING

import pytest

from archives import rich_run
from proj import archive, paths
from proj.archive import open_archive
from proj.errors import StoreError
from proj.tracking import open_tracking
from projkit import PROJ, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import RunRecord

_LARGE_BYTES = 32 << 20


def large_run() -> RunRecord:
    """A run with artifacts that take a while."""
    with open_tracking(paths.home()) as tracking:
        run = rich_run(tracking)
        for number in range(4):
            tracking.artifacts.write(run.artifact_uri, f"large-{number}", os.urandom(_LARGE_BYTES))
        return run


@pytest.mark.faults
def test_a_killed_export_leaves_no_file(tmp_path: Path) -> None:
    large_run()
    target = tmp_path / "run.zip"
    killed = 0
    for attempt in range(8):
        started = subprocess.Popen([PROJ, "export", "latest", "-o", str(target)], stderr=subprocess.DEVNULL)
        eventually(lambda: any(tmp_path.iterdir()), says="a partial file")
        time.sleep(0.02 * attempt)
        started.send_signal(signal.SIGKILL)
        code = started.wait()
        killed += code != 0
        if code == 0 or target.exists():  # it may be killed when all is done
            open_archive(target).close()
        for left in tmp_path.iterdir():
            left.unlink()
    assert killed
    assert subprocess.run([PROJ, "export", "latest", "-o", str(target)], check=False).returncode == 0
    open_archive(target).close()


@pytest.mark.faults
def test_a_killed_import_leaves_no_run_and_is_made_good(tmp_path: Path) -> None:
    run = large_run()
    target, home = tmp_path / "run.zip", tmp_path / "home"
    assert subprocess.run([PROJ, "export", "latest", "-o", str(target)], check=False).returncode == 0
    environment = {**os.environ, "PROJ_HOME": str(home)}
    files = home / "artifacts" / run.run_id
    killed = 0
    for attempt in range(6):
        started = subprocess.Popen(
            [PROJ, "import", str(target)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: files.exists() and any(files.iterdir()), says="files")
        time.sleep(0.01 * attempt)
        started.send_signal(signal.SIGKILL)
        killed += started.wait() != 0
        with open_tracking(home) as tracking:
            past = tracking.past
            assert past is not None
            if past.known_runs([run.run_id]):
                break
    done = subprocess.run(
        [PROJ, "import", str(target), "--json"], env=environment, capture_output=True, check=True
    )
    (told,) = json.loads(done.stdout)["data"]["runs"]
    assert told["run_id"] == run.run_id
    with open_archive(target) as opened, open_tracking(home) as tracking:
        (again,) = archive.add(opened, tracking)
        assert (again.state, again.files) == ("there", 0)
    assert killed


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: what is written fails at some point, as there."""
    with open_tracking(paths.home()) as tracking:
        run = rich_run(tracking)
        tracking.artifacts.write(run.artifact_uri, "large", bytes(1 << 20))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
        try:
            with pytest.raises(StoreError, match=r"run\.zip cannot be written: File too large"):
                archive.export(tracking, [run], tmp_path / "run.zip")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_run(tmp_path: Path) -> None:
    with open_tracking(paths.home()) as tracking:
        run = rich_run(tracking)
        tracking.artifacts.write(run.artifact_uri, "zz-large", bytes(1 << 22))
        archive.export(tracking, [run], tmp_path / "run.zip")
    with open_tracking(tmp_path / "home") as tracking, open_archive(tmp_path / "run.zip") as opened:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 21, hard))
        try:
            with pytest.raises(StoreError, match="zz-large"):
                archive.add(opened, tracking)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert tracking.past is not None
        assert tracking.past.known_runs([run.run_id]) == {}
        assert [path for path in (tmp_path / "home/artifacts").rglob("*") if path.is_file()] == []


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """The bytes follow from the record alone, not from zone, locale or the order of sets."""
    with open_tracking(paths.home()) as tracking:
        run = rich_run(tracking)
        archive.export(tracking, [run], tmp_path / "here.zip")
    environment = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    argv = [sys.executable, PROJ, "export", run.run_id, "-o", str(tmp_path / "there.zip")]
    subprocess.run(argv, env=environment, check=True, capture_output=True)
    assert (tmp_path / "there.zip").read_bytes() == (tmp_path / "here.zip").read_bytes()
