from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess  # noqa: TID251  real processes are the point
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proj.errors import ConflictError, StoreError
from proj.model import NewRun
from proj.testing.stores import RunStoreContract, new_run, point
from proj.tracking import open_tracking
from proj.tracking.database import Database
from proj.tracking.migrations import MIGRATIONS
from proj.tracking.sqlite import SqliteRunStore
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking.store import RunStore


class TestContract(RunStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[RunStore]:
        store = SqliteRunStore(Database(tmp_path / "proj.db"), "file:///artifacts")
        yield store
        store.close()


def test_the_home_is_made_private_and_where_it_is_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with open_tracking(home) as tracking:
        run = new_run(tracking.runs)
    assert home.stat().st_mode & 0o777 == 0o700
    assert run.artifact_uri == f"{(home / 'artifacts').as_uri()}/{run.run_id}"


def test_a_home_that_was_moved_still_works(tmp_path: Path) -> None:
    with open_tracking(tmp_path / "one") as tracking:
        run = new_run(tracking.runs)
        tracking.artifacts.write(run.artifact_uri, "a.txt", b"a")
    shutil.move(tmp_path / "one", tmp_path / "tw o é")
    with open_tracking(tmp_path / "tw o é") as tracking:
        moved = tracking.runs.run(run.run_id)
        assert moved.artifact_uri.startswith("file:///")
        assert " " not in moved.artifact_uri
        with tracking.artifacts.open(moved.artifact_uri, "a.txt") as file:
            assert file.read() == b"a"


def test_experiment_0_is_there_as_mlflows_clients_expect(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        assert tracking.runs.experiment("0").name == "Default"


def test_text_that_is_no_utf8_is_recorded_readably(tmp_path: Path) -> None:
    value = os.fsdecode(b"caf\xe9")
    with open_tracking(tmp_path) as tracking:
        run = new_run(tracking.runs)
        tracking.runs.log(run.run_id, params={"p": value}, tags={value: "t"}, metrics=[point(value, 1.0)])
        found = tracking.runs.run(run.run_id)
    assert found.params == {"p": "caf\\udce9"}
    assert "caf\\udce9" in found.tags
    assert "caf\\udce9" in found.metrics


def test_a_number_too_large_is_refused(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        run = new_run(tracking.runs)
        with pytest.raises(ConflictError, match="number"):
            tracking.runs.log(run.run_id, metrics=[point("m", 1.0, step=2**64)])
        tracking.runs.log(run.run_id, metrics=[point("m", 1.0)])


# --- what can be wrong with a home --------------------------------------------------------------------


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    open_tracking(tmp_path).close()
    _execute(tmp_path / "proj.db", "PRAGMA user_version = 77")
    with pytest.raises(
        StoreError, match=rf"newer proj \(schema 77, this one knows {len(MIGRATIONS)}\)"
    ) as caught:
        open_tracking(tmp_path)
    assert str(tmp_path) in caught.value.message


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    _execute(tmp_path / "proj.db", "CREATE TABLE theirs (a)")
    with pytest.raises(StoreError, match="no database of proj"):
        open_tracking(tmp_path)
    _execute(tmp_path / "proj.db", "SELECT a FROM theirs")


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "proj.db"
    database.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged") as caught:
        open_tracking(tmp_path)
    assert str(database) in caught.value.message
    assert caught.value.hint is not None
    assert ".recover" in caught.value.hint
    assert database.read_bytes() == content


def test_a_database_damaged_inside_is_named(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        for _ in range(50):
            new_run(tracking.runs)
    database = tmp_path / "proj.db"
    content = bytearray(database.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    database.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"), open_tracking(tmp_path) as tracking:
        tracking.runs.experiments()


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "proj.db").touch()
    with open_tracking(tmp_path) as tracking:
        assert new_run(tracking.runs).run_name


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot be made") as caught:
            open_tracking(home)
        assert "PROJ_HOME" in (caught.value.hint or "")


def test_a_home_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "proj.db").mkdir()
    with pytest.raises(StoreError, match="unable to open") as caught:
        open_tracking(tmp_path)
    assert caught.value.hint


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        run = new_run(tracking.runs)
        store = tracking.runs
        assert isinstance(store, SqliteRunStore)
        with store._database.read() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full") as caught:
            store.log(run.run_id, tags={f"t{number}": "x" * 4000 for number in range(50)})
        assert "space" in (caught.value.hint or "")
        assert store.run(run.run_id) == run


def test_opening_twice_and_closing_twice_is_no_error(tmp_path: Path) -> None:
    first, second = open_tracking(tmp_path), open_tracking(tmp_path)
    run = new_run(first.runs)
    assert second.runs.run(run.run_id) == run
    for tracking in (first, second, first):
        tracking.close()


# --- many processes -----------------------------------------------------------------------------------

_ALL = RunQuery()

_CREATE = """
import sys
from pathlib import Path
from proj.model import Metric, NewRun, RunStatus
from proj.tracking import open_tracking
sys.stdin.read()
with open_tracking(Path(sys.argv[1])) as tracking:
    experiment = tracking.runs.create_experiment("shared")
    new = NewRun(experiment_id=experiment.experiment_id, run_name=sys.argv[2], started_ms=1)
    run = tracking.runs.create_run(new)
    for step in range(5):
        tracking.runs.log(run.run_id, metrics=[Metric(key="m", value=1.0, timestamp_ms=1, step=step)])
    tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED)
"""


def test_processes_make_one_home_at_once_and_none_is_lost(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CREATE, str(tmp_path / "home"), f"run-{number}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(12)
    ]
    for process in processes:  # all are up and wait for the end of their input
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate()[1].decode() for process in processes]
    assert errors == [""] * len(processes)
    with open_tracking(tmp_path / "home") as tracking:
        runs = {run.run_name: run for run in tracking.runs.search_runs(_ALL).runs}
        assert len(runs) == len(processes)
        assert {run.status.value for run in runs.values()} == {"FINISHED"}
        assert len({run.experiment_id for run in runs.values()}) == 1
        assert all(len(tracking.runs.metric_history(run.run_id, "m")) == 5 for run in runs.values())


def test_a_writer_waits_for_another_longer_than_sqlite_does(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        run = new_run(tracking.runs)
        other = sqlite3.connect(tmp_path / "proj.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        assert tracking.runs.run(run.run_id) == run, "readers do not wait for writers"
        release = threading.Timer(0.8, lambda: other.execute("COMMIT"))
        release.start()
        tracking.runs.log(run.run_id, tags={"a": "b"})
        release.join()
        other.close()
        assert tracking.runs.run(run.run_id).tags["a"] == "b"


def test_an_interruption_within_a_transaction_leaves_the_store_usable(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        run = new_run(tracking.runs)
        store = tracking.runs
        assert isinstance(store, SqliteRunStore)
        for begin in (store._database.read, store._database.write):
            with pytest.raises(KeyboardInterrupt), begin():
                raise KeyboardInterrupt
        store.log(run.run_id, tags={"a": "b"})
        assert store.run(run.run_id).tags["a"] == "b"


_KILLED = """
import os, signal, sys
from pathlib import Path
from proj.model import NewRun
from proj.tracking import open_tracking
tracking = open_tracking(Path(sys.argv[1]))
run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="killed", started_ms=1, params={"a": "b"}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_call_wrote_outlives_the_process_killed_right_after(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with open_tracking(tmp_path) as tracking:
        assert tracking.runs.find_run("killed").params == {"a": "b"}


def test_a_kill_within_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    script = _KILLED.replace(
        'params={"a": "b"}))', "params={}))\nwith tracking.runs._database.write() as connection:\n"
        "    connection.execute(\"UPDATE runs SET name = 'half'\")",
    ).replace("os.kill(", "    os.kill(")  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with open_tracking(tmp_path) as tracking:
        assert tracking.runs.find_run("killed").run_name == "killed"


def test_creating_a_run_takes_a_full_record_at_once(tmp_path: Path) -> None:
    with open_tracking(tmp_path) as tracking:
        params = {f"p{number}": str(number) for number in range(300)}
        run = tracking.runs.create_run(
            NewRun(experiment_id="0", run_name="r", started_ms=1, params=params, tags=params)
        )
        assert run.params == params


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_many_points_are_kept_each_once(tmp_path: Path, count: int) -> None:
    """As many as one statement takes, and more and fewer; MLflow 2.9's own server fails at some of it."""
    store = open_tracking(tmp_path).runs
    run = new_run(store)
    points = [point("m", step / 7, step=step) for step in range(count)]
    store.log(run.run_id, metrics=points[: count // 2])
    store.log(run.run_id, metrics=[*points, points[0], point("other", 1.0)])
    assert list(store.metric_history(run.run_id, "m")) == points
    assert store.run(run.run_id).metrics["m"] == points[-1]
    store.close()
