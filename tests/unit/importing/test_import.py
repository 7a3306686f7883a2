from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from importkit import AGES, NEWEST, all_runs, bring, content, database, mlruns, named, run_folder
from proj import events
from proj.errors import NotFoundError, StoreError, UsageError
from proj.importing import import_from
from proj.importing.mlruns import MlrunsSource
from proj.importing.model import ForeignRun, ImportReport, Problems
from proj.importing.server import TrackingSource
from proj.importing.writer import Writer
from proj.model import RunStatus
from proj.tracking import open_tracking
from proj.tracking.artifacts import local_path
from proj.tracking.logged_models import LoggedModelQuery, LoggedModelStatus
from proj.tracking.registry import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from proj.importing.model import ForeignExperiment
    from proj.model import Metric
    from proj.tracking import Tracking

KINDS = {"mlruns": mlruns, "sqlite": database}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def check_runs(tracking: Tracking, age: str) -> None:
    parent, child = named(tracking, "parent"), named(tracking, "child")
    assert parent.params == {
        "alpha": "0.5",
        "empty": "",
        "multi/part": "a b",
        "text": "line 1\nline 2",
        "umlaut": "Äö",
    }
    assert (parent.tags["team"], parent.tags["note"], parent.tags["multi/tag"]) == ("blue", "two\nlines", "x")
    assert child.tags["mlflow.parentRunId"] == parent.run_id
    assert tracking.runs.children(parent.run_id) == (child.run_id,)
    history = tracking.runs.metric_history(parent.run_id, "rmse")
    assert [(point.step, point.value) for point in history] == [
        (0, 1.0),
        (1, 0.5),
        (2, 9.0),
        (2, pytest.approx(1 / 3)),
        (3, 0.25),
    ]
    assert history[2].timestamp_ms == 5
    assert parent.metrics["val/loss"].step == -1
    assert math.isnan(parent.metrics["nan"].value)
    assert (parent.metrics["inf"].value, parent.metrics["ninf"].value) == (math.inf, -math.inf)
    assert len(tracking.runs.metric_history(child.run_id, "many")) == 5
    (failed,) = [run for run in all_runs(tracking) if run.status is RunStatus.FAILED]
    assert (failed.started_ms, failed.ended_ms) == (1234567890123, 1234567899999)
    states = sorted((run.status.value, run.lifecycle_stage) for run in all_runs(tracking))
    assert states == [
        ("FAILED", "active"),
        ("FINISHED", "active"),
        ("FINISHED", "active"),
        ("RUNNING", "active"),
        ("RUNNING", "active"),
        ("RUNNING", "deleted"),
        ("RUNNING", "deleted"),
    ]
    inputs = tracking.inputs.of_runs([parent.run_id])
    if age != "1.25":
        (used,) = inputs[parent.run_id].datasets
        assert (used.dataset.name, used.tags["mlflow.data.context"]) == ("grapes", "training")


def check_experiments(tracking: Tracking) -> None:
    wine, gone = tracking.runs.experiment_named("wine"), tracking.runs.experiment_named("gone")
    assert (wine.tags["team"], wine.tags["mlflow.note.content"]) == ("red", "Größe: ✓")
    assert (wine.lifecycle_stage, gone.lifecycle_stage) == ("active", "deleted")
    counts = {experiment.name: 0 for experiment in tracking.runs.experiments("all")}
    for run in all_runs(tracking):
        counts[tracking.runs.experiment(run.experiment_id).name] += 1
    assert counts == {"Default": 1, "wine": 5, "gone": 1}


def check_models(tracking: Tracking, age: str) -> None:
    model = tracking.registry.model("grapes")
    assert (model.description, model.tags) == ("the model", {"kind": "wine"})
    parent = named(tracking, "parent")
    first, third = tracking.registry.version("grapes", 1), tracking.registry.version("grapes", 3)
    assert (first.stage, third.stage) == (Stage.PRODUCTION, Stage.STAGING)
    assert (first.description, first.run_id, first.tags["n"]) == ("v1", parent.run_id, "0")
    assert first.source == first.storage_location == f"{parent.artifact_uri}/out"
    assert first.tags["proj.import.source"].endswith(f"{parent.run_id}/artifacts/out")
    assert tracking.registry.version("grapes", 5).source == "s3://bucket/elsewhere"
    with pytest.raises(NotFoundError):
        tracking.registry.version("grapes", 2)
    if age != "1.25":
        assert model.aliases == {"champion": 3, "older": 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("age", AGES)
def test_a_store_is_copied_whole_and_only_once(tmp_path: Path, home: Path, age: str, kind: str) -> None:
    source = KINDS[kind](tmp_path / "theirs", age)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in source.parent.rglob("*"))
    report = bring(source, home)
    assert (report.problem_count, report.missing_roots) == (0, [])
    assert (report.runs.new, report.runs.there) == (7, 0)
    with open_tracking(home) as tracking:
        check_runs(tracking, age)
        check_experiments(tracking)
        if (age, kind) != ("1.25", "mlruns"):
            check_models(tracking, age)
        parent = named(tracking, "parent")
        files = {file.path for file in tracking.artifacts.walk(parent.artifact_uri)}
        assert "top.txt" in files
        assert parent.tags["proj.import.artifact_uri"].endswith(f"{parent.run_id}/artifacts")
    again = bring(source, home)
    tallies = (again.experiments, again.runs, again.logged_models, again.registered_models, again.files)
    assert [(tally.new, tally.changed) for tally in tallies] == [(0, 0)] * 5
    assert (again.points, again.versions, again.runs.there) == (0, 0, 7)
    assert before == sorted((str(path), path.stat().st_mtime_ns) for path in source.parent.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_logged_models_come_with_what_was_measured(tmp_path: Path, home: Path, kind: str) -> None:
    report = bring(KINDS[kind](tmp_path / "theirs"), home)
    assert report.logged_models.new == 3
    with open_tracking(home) as tracking:
        parent = named(tracking, "parent")
        models = {
            model.name: model
            for model in tracking.logged_models.search_logged_models(LoggedModelQuery(lifecycle="all")).models
        }
        net = models["net"]
        assert (net.status, net.model_type, net.params, net.tags["a"]) == (
            LoggedModelStatus.READY,
            "Agent",
            {"depth": "3"},
            "b",
        )
        (point,) = net.metrics
        assert (point.run_id, point.metric.value, point.metric.dataset_name) == (
            parent.run_id,
            0.75,
            "grapes",
        )
        assert models["dropped"].lifecycle_stage == "deleted"
        (output,) = tracking.inputs.of_runs([parent.run_id])[parent.run_id].outputs
        assert (output.model_id, output.step) == (net.model_id, 3)
        version = tracking.registry.version("grapes", 6)
        assert version.source == f"models:/{net.model_id}"
        assert version.storage_location == net.artifact_location
        if kind == "mlruns":
            assert content(tracking, net.artifact_location, "MLmodel") == b"flavors: {}\n"


def test_records_of_a_tracking_are_copied(tmp_path: Path, home: Path) -> None:
    bring(mlruns(tmp_path), tmp_path / "first")
    problems = Problems()
    report = ImportReport(source="")
    with open_tracking(tmp_path / "first") as theirs, open_tracking(home) as tracking:
        source = TrackingSource(theirs, problems)
        assert tracking.past is not None
        for _ in range(2):
            Writer(
                source=source,
                tracking=tracking,
                past=tracking.past,
                report=report,
                problems=problems,
                copier=None,
            ).write(list(source.experiments()), whole=True)
        assert (report.runs.new, report.runs.there, report.versions) == (7, 7, 5)
        check_runs(tracking, NEWEST)
        check_experiments(tracking)
        check_models(tracking, NEWEST)


@pytest.mark.parametrize("uri", ["file:///etc", "file:///etc/{id}", "/etc"])
def test_a_server_cannot_have_any_folder_copied(tmp_path: Path, home: Path, uri: str) -> None:
    with open_tracking(tmp_path / "theirs") as theirs:
        source = TrackingSource(theirs, Problems())
        run_id = "0" * 32
        run = ForeignRun(
            run_id=run_id,
            experiment_id="0",
            name="",
            user="",
            status=RunStatus.FINISHED,
            started_ms=1,
            artifact_uri=uri.format(id=run_id),
        )
        with pytest.raises(StoreError, match="MLflow makes no such folder"):
            source.files(run)


# --- again --------------------------------------------------------------------------------------------


def test_a_run_that_went_on_is_brought_up_to_date(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    folder = run_folder(root, "parent")
    meta = (folder / "meta.yaml").read_text()
    (folder / "meta.yaml").write_text(
        meta.replace("status: 3", "status: 1").replace("end_time: ", "end_time: null #")
    )
    bring(root, home)
    (folder / "meta.yaml").write_text(meta)
    rmse = folder / "metrics" / "rmse"
    rmse.write_text(f"{rmse.read_text()}77 0.125 4\n")
    (folder / "metrics" / "late").write_text("78 1 0\n")
    (folder / "tags" / "team").write_text("green")
    (folder / "tags" / "new").write_text("tag")
    (folder / "artifacts" / "top.txt").write_text("longer than before")
    (folder / "artifacts" / "more.txt").write_text("more")
    report = bring(root, home)
    assert (report.runs.new, report.runs.changed, report.runs.there) == (0, 1, 6)
    assert (report.points, report.files.new, report.files.changed) == (2, 1, 1)
    with open_tracking(home) as tracking:
        parent = named(tracking, "parent")
        assert parent.status is RunStatus.FINISHED
        assert (parent.tags["team"], parent.tags["new"]) == ("green", "tag")
        assert parent.metrics["rmse"].step == 4
        assert content(tracking, parent.artifact_uri, "top.txt") == b"longer than before"


def test_what_was_changed_here_stays(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    bring(root, home)
    with open_tracking(home) as tracking:
        parent, child = named(tracking, "parent"), named(tracking, "child")
        tracking.runs.log(parent.run_id, tags={"team": "ours"})
        tracking.artifacts.write(parent.artifact_uri, "top.txt", b"ours")
        tracking.runs.delete_runs([child.run_id])
        wine = tracking.runs.experiment_named("wine").experiment_id
        tracking.runs.rename_experiment(wine, "cellar")
        tracking.runs.set_experiment_tags(wine, {"team": "ours"})
        tracking.registry.transition_stage("grapes", 3, Stage.ARCHIVED)
        tracking.registry.set_alias("grapes", "champion", 5)
    (run_folder(root, "parent") / "tags" / "team").write_text("theirs")
    (run_folder(root, "parent") / "artifacts" / "top.txt").write_text("theirs, since")
    report = bring(root, home)
    assert (report.runs.new, report.files.new, report.files.changed) == (0, 0, 0)
    with open_tracking(home) as tracking:
        parent, child = named(tracking, "parent"), named(tracking, "child")
        assert parent.tags["team"] == "ours"
        assert content(tracking, parent.artifact_uri, "top.txt") == b"ours"
        assert child.lifecycle_stage == "deleted"
        cellar = tracking.runs.experiment_named("cellar")
        assert cellar.tags["team"] == "ours"
        assert "wine" not in {experiment.name for experiment in tracking.runs.experiments("all")}
        assert tracking.registry.version("grapes", 3).stage is Stage.ARCHIVED
        assert tracking.registry.model("grapes").aliases["champion"] == 5


def test_a_version_that_was_changed_there_later_follows(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    bring(root, home)
    meta = root / "models" / "grapes" / "version-4" / "meta.yaml"
    text = meta.read_text().replace("current_stage: None", "current_stage: Production")
    lines = [line for line in text.splitlines() if not line.startswith("last_updated")]
    meta.write_text("\n".join([*lines, "last_updated_timestamp: 4102444800000"]))
    report = bring(root, home)
    assert (report.versions, report.registered_models.changed) == (0, 1)
    with open_tracking(home) as tracking:
        assert tracking.registry.version("grapes", 4).stage is Stage.PRODUCTION


def test_an_experiment_that_is_deleted_here_takes_runs_as_deleted_ones(tmp_path: Path, home: Path) -> None:
    with open_tracking(home) as tracking:
        mine = tracking.runs.create_experiment("wine")
        tracking.runs.delete_experiment(mine.experiment_id)
    bring(mlruns(tmp_path), home)
    with open_tracking(home) as tracking:
        parent = named(tracking, "parent")
        assert (parent.experiment_id, parent.lifecycle_stage) == (mine.experiment_id, "deleted")


def test_two_stores_share_experiments_and_models_by_name(tmp_path: Path, home: Path) -> None:
    bring(mlruns(tmp_path / "one", "2.22"), home)
    second = mlruns(tmp_path / "two", "3.17")
    for _ in range(2):
        bring(second, home)
    with open_tracking(home) as tracking:
        assert len(tracking.runs.experiments("all")) == 3
        assert len(all_runs(tracking)) == 14
        numbers = [
            version.version
            for number in range(1, 20)
            for version in tracking.registry.latest_versions("grapes")
            if version.version == number
        ]
        assert max(numbers) == 10
        moved = tracking.registry.version("grapes", 6)
        assert moved.tags["proj.import.version"] == "1"
        assert tracking.registry.model("grapes").aliases == {"champion": 3, "older": 1}
        with pytest.raises(NotFoundError):
            tracking.registry.version("grapes", 11)


class Cut(MlrunsSource):
    """A source that is cut off in the middle, as by a kill."""

    left = 3

    def runs(
        self, experiments: Collection[ForeignExperiment]
    ) -> Iterator[tuple[ForeignRun, Iterator[Metric]]]:
        for run in super().runs(experiments):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield run


def test_an_import_that_was_cut_off_goes_on(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mlruns(tmp_path)
    monkeypatch.setattr("proj.importing.writer._BATCH_RUNS", 1)
    problems = Problems()
    with open_tracking(home) as tracking:
        source = Cut(root, problems)
        assert tracking.past is not None
        writer = Writer(
            source=source,
            tracking=tracking,
            past=tracking.past,
            report=ImportReport(source=""),
            problems=problems,
            copier=None,
        )
        with pytest.raises(KeyboardInterrupt):
            writer.write(list(source.experiments()), whole=True)
        assert 0 < len(all_runs(tracking)) < 7
    report = bring(root, home)
    assert report.runs.all == 7
    assert report.runs.new > 0
    with open_tracking(home) as tracking:
        check_runs(tracking, NEWEST)
        assert tracking.artifacts.list(named(tracking, "parent").artifact_uri)


def test_a_long_history_comes_in_parts(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    points = 45_000
    lines = "".join(f"{number} {number / 7} {number}\n" for number in range(points))
    (run_folder(root, "parent") / "metrics" / "long").write_text(lines)
    assert bring(root, home).points > points
    again = bring(root, home)
    assert (again.points, again.runs.there) == (0, 7)
    with open_tracking(home) as tracking:
        parent = named(tracking, "parent")
        assert len(tracking.runs.metric_history(parent.run_id, "long")) == points
        assert parent.metrics["long"].step == points - 1


# --- choices ------------------------------------------------------------------------------------------


def test_one_experiment_of_several(tmp_path: Path, home: Path) -> None:
    report = bring(mlruns(tmp_path), home, experiments=["Default"])
    assert (report.experiments.all, report.runs.new, report.registered_models.all) == (1, 1, 0)
    report = bring(tmp_path / "mlruns", home, experiments=["wine"])
    assert (report.runs.new, report.versions) == (5, 4), "that of another store's bucket belongs to no run"


def test_an_experiment_that_is_not_there(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFoundError, match="no experiment 'beer'") as error:
        bring(mlruns(tmp_path), home, experiments=["beer"])
    assert error.value.hint is not None
    assert "'wine'" in error.value.hint


def test_without_artifacts(tmp_path: Path, home: Path) -> None:
    assert bring(mlruns(tmp_path), home, artifacts=False).files.all == 0
    assert not (home / "artifacts").exists()
    assert bring(tmp_path / "mlruns", home).files.new == 3


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    rehearsed = bring(root, home, dry_run=True)
    assert not home.exists()
    done = bring(root, home)
    for name in ("experiments", "runs", "points", "logged_models", "versions", "files", "size_bytes"):
        assert getattr(rehearsed, name) == getattr(done, name), name
    (run_folder(root, "parent") / "metrics" / "late").write_text("78 1 0\n")
    assert bring(root, home, dry_run=True).points == 1
    assert bring(root, home, dry_run=True).points == 1


# --- artifacts ----------------------------------------------------------------------------------------


def test_files_of_a_folder_that_was_moved(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path).rename(tmp_path / "elsewhere")
    report = bring(root, home)
    assert (report.files.new, report.missing_roots) == (3, [])
    with open_tracking(home) as tracking:
        place = tracking.registry.version("grapes", 3).storage_location
        assert place is not None
        assert (local_path(place) / "deep").is_dir()


def test_files_that_went_through_a_server_are_beside_the_folder(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    run = run_folder(root, "parent")
    meta = run / "meta.yaml"
    served = f"mlflow-artifacts:/{run.parent.name}"
    meta.write_text(meta.read_text().replace(f"file://{root}/{run.parent.name}", served))
    target = tmp_path / "mlartifacts" / run.parent.name / run.name / "artifacts"
    target.parent.mkdir(parents=True)
    (run / "artifacts").rename(target)
    (run / "artifacts").mkdir()
    report = bring(root, home)
    assert (report.files.new, report.missing_roots, report.problem_count) == (3, [], 0)
    target.parent.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "mlartifacts").rmdir()
    report = bring(root, home.with_name("second"))
    assert (report.files.new, report.missing_roots) == (1, ["mlflow-artifacts:/"])


def test_files_that_are_nowhere_are_said_once(tmp_path: Path, home: Path) -> None:
    path = database(tmp_path / "one")
    (tmp_path / "two").mkdir()
    moved = path.rename(tmp_path / "two" / "mlflow.db")
    report = bring(moved, home)
    assert report.runs.new == 7
    assert report.files.all == 1, "the old place is still there"
    (tmp_path / "one" / "mlruns").rename(tmp_path / "kept")
    report = bring(moved, home.with_name("second"))
    assert report.missing_roots == [str(tmp_path / "one" / "mlruns")]
    assert (report.files.all, report.problem_count) == (0, 0)
    assert bring(moved, home.with_name("third"), beside=[tmp_path / "kept"]).files.new == 1


def test_links_that_lead_out_are_left_out(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    folder = run_folder(root, "parent")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("s3cr3t")
    (folder / "params" / "stolen").symlink_to(secret / "key")
    (folder / "params" / "within").symlink_to("alpha")
    (folder / "artifacts" / "stolen").symlink_to(secret / "key")
    (folder / "artifacts" / "folder").symlink_to(secret)
    (folder / "artifacts" / "within").symlink_to("top.txt")
    (folder / "artifacts" / "dangling").symlink_to("nothing")
    os.mkfifo(folder / "artifacts" / "pipe")
    os.mkfifo(folder / "params" / "pipe")
    report = bring(root, home)
    assert {problem.place.rpartition("/")[2] for problem in report.problems} == {
        "stolen",
        "folder",
        "dangling",
    }
    with open_tracking(home) as tracking:
        parent = named(tracking, "parent")
        assert parent.params["within"] == "0.5"
        files = {file.path for file in tracking.artifacts.walk(parent.artifact_uri)}
        assert files == {"out/deep/hello-3.17.2.txt", "top.txt", "within"}
    assert not [file for file in home.rglob("*") if file.is_file() and b"s3cr3t" in file.read_bytes()]


@pytest.mark.parametrize("uri", ["file:///etc", "/etc", "file:///x/../etc/{id}/artifacts", "file://host/x"])
def test_a_store_cannot_have_any_folder_copied(tmp_path: Path, home: Path, uri: str) -> None:
    root = mlruns(tmp_path)
    meta = run_folder(root, "parent") / "meta.yaml"
    lines = [line for line in meta.read_text().splitlines() if not line.startswith("artifact_uri")]
    meta.write_text("\n".join([*lines, f"artifact_uri: {uri.format(id=meta.parent.name)}"]))
    report = bring(root, home)
    assert report.runs.new == 7
    (problem,) = report.problems
    assert problem.place == f"run {meta.parent.name}"
    with open_tracking(home) as tracking:
        assert not tracking.artifacts.list(named(tracking, "parent").artifact_uri)


@pytest.mark.parametrize("source", ["file:///etc", "/etc", "etc", "{run}/../../../../etc", "{run}/%2e%2e/x"])
def test_a_version_cannot_name_any_folder(tmp_path: Path, home: Path, source: str) -> None:
    root = mlruns(tmp_path)
    run = run_folder(root, "parent")
    meta = root / "models" / "grapes" / "version-4" / "meta.yaml"
    given = source.format(run=f"file://{run}/artifacts")
    kept = [line for line in meta.read_text().splitlines() if not line.startswith(("source:", "storage"))]
    meta.write_text("\n".join([*kept, f"source: {given}", f"storage_location: {given}"]))
    report = bring(root, home)
    (problem,) = report.problems
    assert problem.place == "version 4 of grapes"
    with open_tracking(home) as tracking:
        version = tracking.registry.version("grapes", 4)
        assert version.tags["proj.import.source"] == given
        assert version.storage_location == f"not-imported:{given}"
        with pytest.raises(StoreError):
            tracking.artifacts.open(version.storage_location, "passwd")


# --- what cannot be read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\nb: 2\n", ":2"),
        ("", ":1"),
        ("- 1\n", ":1"),
        ("run_id: x\n", ""),
        ("\0", ":1"),
        ("status: 99", ""),
    ],
)
def test_a_corrupt_run_is_left_out_and_named(tmp_path: Path, home: Path, text: str, line: str) -> None:
    root = mlruns(tmp_path)
    meta = run_folder(root, "parent") / "meta.yaml"
    meta.write_text(text)
    report = bring(root, home)
    assert report.runs.new == 6
    assert f"{meta}{line}" in {problem.place for problem in report.problems}


def test_lines_that_are_no_points_are_named(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    file = run_folder(root, "parent") / "metrics" / "odd"
    file.write_bytes(
        b"1 0.5 0\nrubbish\n1 2 3 4\n\n2 x 1\n99999999999999999999 1 1\n\xff\xfe\n3 0.25\n4 1 1 a b c d\n"
    )
    report = bring(root, home)
    assert [problem.place for problem in report.problems] == [f"{file}:{line}" for line in (2, 3, 5, 6, 7)]
    with open_tracking(home) as tracking:
        points = tracking.runs.metric_history(named(tracking, "parent").run_id, "odd")
    assert [(point.timestamp_ms, point.value, point.step) for point in points] == [
        (1, 0.5, 0),
        (3, 0.25, 0),
        (4, 1, 1),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_traces_are_left_out_and_it_is_said(tmp_path: Path, home: Path, kind: str) -> None:
    source = KINDS[kind](tmp_path)
    if kind == "mlruns":
        (run_folder(source, "parent").parent / "traces" / "tr-1").mkdir(parents=True)
    else:
        with contextlib.closing(sqlite3.connect(source)) as connection:
            connection.execute("CREATE TABLE trace_info AS SELECT 'tr-1' AS request_id")
            connection.commit()
    said: list[str] = []
    with events.listening(lambda event: said.append(event.message)):
        assert bring(source, home).problem_count == 0
    assert "The store has traces, which proj does not keep: 1 are left out." in said


def test_names_of_files_that_are_no_utf8(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    folder = run_folder(root, "parent")
    odd = os.fsdecode(b"odd\xff")
    (folder / "artifacts" / odd).write_text("kept")
    (folder / "metrics" / odd).write_text("rubbish\n")
    (problem,) = bring(root, home).problems
    assert problem.place.endswith("odd\\udcff:1")
    with open_tracking(home) as tracking:
        assert content(tracking, named(tracking, "parent").artifact_uri, odd) == b"kept"


def test_text_that_is_no_utf8_is_kept(tmp_path: Path, home: Path) -> None:
    root = mlruns(tmp_path)
    (run_folder(root, "parent") / "params" / "odd").write_bytes(b"a\xffb")
    bring(root, home)
    with open_tracking(home) as tracking:
        assert named(tracking, "parent").params["odd"] == "a\\xffb"


def test_folders_that_are_no_store(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        bring(tmp_path / "nothing", home)
    with pytest.raises(StoreError, match="no mlruns folder"):
        bring(tmp_path, home)
    mlruns(tmp_path)
    with pytest.raises(StoreError) as error:
        bring(tmp_path, home)
    assert error.value.hint == f"Did you mean mlflow:{tmp_path / 'mlruns'}?"
    with open_tracking(tmp_path / "ours") as tracking:
        tracking.runs.create_experiment("e")
    with pytest.raises(StoreError, match="holds records of proj"):
        bring(tmp_path / "ours", home)
    (tmp_path / "db" / "mlruns" / "0").mkdir(parents=True)  # files alone: their records are in the database
    database(tmp_path / "db").rename(tmp_path / "db" / "x.db")
    with pytest.raises(StoreError) as error:
        bring(tmp_path / "db", home)
    assert error.value.hint == f"Did you mean mlflow:{tmp_path / 'db' / 'x.db'}?"
    assert not home.exists(), "nothing is made for what cannot be read"


@pytest.mark.parametrize(
    "uri",
    ["./mlruns", "bundle.zip", "mlflow:", "mlflow:mysql://x/y", "mlflow:sqlite://x", "mlflow:sqlite:///"],
)
def test_sources_that_are_unknown(home: Path, uri: str) -> None:
    with pytest.raises(UsageError) as error:
        import_from(uri, home)
    assert "mlflow" in (error.value.hint or error.value.message) or "sqlite" in (error.value.hint or "")
