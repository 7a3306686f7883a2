from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from importkit import AGES, all_runs, bring, database, named
from proj.errors import NotFoundError, StoreError
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAGE = 4096


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def run(path: Path, *statements: str) -> None:
    with opened(path) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite:///{}?timeout=5"])
def test_ways_to_name_a_database(tmp_path: Path, home: Path, age: str, form: str) -> None:
    path = database(tmp_path, age)
    if form == "{}" and age != "1.25":
        path = path.rename(tmp_path / "a b#c%d?.sqlite")
    report = bring(form.format(path), home)
    assert report.runs.new == 7


def test_what_is_in_the_write_ahead_log_counts_and_what_is_not_committed_does_not(
    tmp_path: Path, home: Path
) -> None:
    path = database(tmp_path)
    add = "INSERT INTO params (run_uuid, key, value) SELECT run_uuid, ?, '1' FROM runs WHERE name = 'parent'"
    with opened(path) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(add, ("new",))
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(add, ("open",))
        bring(path, home)
        writer.execute("ROLLBACK")
    with open_tracking(home) as tracking:
        params = named(tracking, "parent").params
    assert params["new"] == "1"
    assert "open" not in params


def test_a_lock_that_does_not_go_is_named(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path)
    monkeypatch.setattr("proj.importing.snapshot._PATIENCE_S", 0.1)
    with opened(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="was locked by another program"):
            bring(path, home)
        writer.execute("ROLLBACK")
    assert bring(path, home).runs.new == 7


def test_what_a_killed_program_left_is_rolled_back_in_a_copy(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path / "live")
    killed = tmp_path / "killed"
    killed.mkdir()
    with opened(path) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.execute("UPDATE runs SET name = 'half'")
        for number in range(200):  # more than the cache holds, so it is in the file
            writer.execute(
                "INSERT INTO registered_models (name, description) VALUES (?, ?)", (f"x{number}", "y" * 3000)
            )
        for file in (path, path.with_name("mlflow.db-journal")):
            shutil.copy(file, killed)
        writer.execute("ROLLBACK")
    before = {file.name: file.read_bytes() for file in killed.iterdir()}
    report = bring(killed / "mlflow.db", home)
    assert (report.runs.new, report.registered_models.new) == (7, 2)
    assert {file.name: file.read_bytes() for file in killed.iterdir()} == before
    with open_tracking(home) as tracking:
        assert named(tracking, "parent").params


def test_a_database_that_may_only_be_read(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path / "theirs")
    run(path, "PRAGMA journal_mode = WAL")
    path.chmod(stat.S_IRUSR)
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert bring(path, home).runs.new == 7
    finally:
        path.parent.chmod(stat.S_IRWXU)


def test_tables_and_columns_that_an_age_does_not_have(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path, "1.25")
    run(
        path,
        "DROP TABLE model_version_tags",
        "DROP TABLE model_versions",
        "DROP TABLE registered_model_tags",
        "DROP TABLE registered_models",
        "DROP TABLE experiment_tags",
    )
    report = bring(path, home)
    assert (report.runs.new, report.registered_models.all, report.problem_count) == (7, 0, 0)


def test_tables_and_columns_that_are_new(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path)
    run(path, "ALTER TABLE runs ADD COLUMN colour TEXT", "CREATE TABLE colours (name TEXT)")
    assert bring(path, home).runs.new == 7


def test_names_of_workspaces_are_kept_apart(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path)
    run(
        path,
        "INSERT INTO experiments (experiment_id, name, lifecycle_stage, workspace) "
        "VALUES (99, 'wine', 'active', 'team')",
    )
    bring(path, home)
    with open_tracking(home) as tracking:
        names = {experiment.name for experiment in tracking.runs.experiments("all")}
    assert names == {"Default", "wine", "gone", "team/wine"}


def test_rows_that_make_no_sense_are_named(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path, "1.25")
    run(
        path,
        "PRAGMA ignore_check_constraints = ON",
        "UPDATE runs SET status = 'DANCING' WHERE status = 'FAILED'",
        "INSERT INTO runs (run_uuid, experiment_id, status) VALUES ('../../etc', 1, 'FINISHED')",
        "UPDATE metrics SET value = 'much' WHERE key = 'fold'",
    )
    report = bring(path, home)
    assert report.runs.new == 6
    assert report.problem_count == 3
    said = " ".join(problem.message for problem in report.problems)
    assert "'DANCING'" in said
    assert "'fold'" in said


def test_files_that_are_no_database_of_mlflow(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFoundError):
        bring(f"sqlite:///{tmp_path}/none.db", home)
    (tmp_path / "text.db").write_text("hello" * 100)
    with pytest.raises(StoreError, match="is no SQLite database"):
        bring(tmp_path / "text.db", home)
    run(tmp_path / "other.db", "CREATE TABLE t (a)")
    with pytest.raises(StoreError, match="no database of MLflow"):
        bring(tmp_path / "other.db", home)
    with open_tracking(tmp_path / "ours"):
        pass
    with pytest.raises(StoreError, match="a database of proj"):
        bring(tmp_path / "ours" / "proj.db", home)


def test_a_damaged_database_is_named_and_what_came_before_the_damage_stays(
    tmp_path: Path, home: Path
) -> None:
    path = database(tmp_path, "1.25")
    with opened(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'metrics'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    with pytest.raises(StoreError, match="cannot be read") as error:
        bring(path, home)
    assert error.value.hint is not None
    assert ".recover" in error.value.hint
    with open_tracking(home) as tracking:
        assert not all_runs(tracking), "half a history is no history"
