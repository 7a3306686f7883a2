"""Records with all that an archive can hold, and archives of them to tamper with."""

from __future__ import annotations

import math
import subprocess  # noqa: TID251  a user's own tools
from typing import TYPE_CHECKING

from proj import archive, paths
from proj.archive.container import Writer
from proj.model import Metric, NewRun, RunStatus
from proj.tracking import open_tracking
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput
from proj.tracking.logged_models import LoggedModelStatus, NewLoggedModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking

ARTIFACTS = {
    "model.bin": bytes(range(256)) * 40,
    "empty": b"",
    "plots/Übersicht 1.txt": b"a plot",
    'odd/\\ back "quote".txt': b"x",
    "odd/two\nlines": b"y",
}


def rich_run(tracking: Tracking, *, parent: str | None = None, name: str = "rich") -> RunRecord:
    """A run with every kind of thing that is recorded."""
    experiment = tracking.runs.create_experiment("wine").experiment_id
    tags = {"note": "two\nlines", "grün": "✓"} | ({} if parent is None else {"mlflow.parentRunId": parent})
    run = tracking.runs.create_run(
        NewRun(
            experiment_id=experiment, run_name=name, started_ms=1_700_000_000_000, user="ada",
            status=RunStatus.RUNNING, params={"alpha": "0.1", "leer": ""}, tags=tags,
        )
    )  # fmt: skip
    values = (0.1 + 0.2, math.nan, math.inf, -math.inf, -0.0, 5e-324)
    points = [Metric(key="loss", value=value, timestamp_ms=5 + i, step=i) for i, value in enumerate(values)]
    points += [
        Metric(key="loss", value=9.0, timestamp_ms=1, step=2),
        Metric(key="a/b", value=1, timestamp_ms=2),
    ]
    model = tracking.logged_models.create_logged_model(
        NewLoggedModel(
            experiment_id=experiment, name="m", source_run_id=run.run_id, params={"p": "1"}, tags={"t": "2"}
        )
    )
    tracking.logged_models.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    points.append(Metric(key="acc", value=0.9, timestamp_ms=3, model_id=model.model_id))
    tracking.runs.log(run.run_id, metrics=points)
    grapes = Dataset(name="grapes", digest="d1", source_type="local", source="{}")
    tracking.inputs.log_inputs(
        run.run_id, datasets=[DatasetInput(dataset=grapes, tags={"mlflow.data.context": "training"})]
    )
    tracking.inputs.log_outputs(run.run_id, [ModelOutput(model_id=model.model_id, step=3)])
    for path, content in ARTIFACTS.items():
        tracking.artifacts.write(run.artifact_uri, path, content)
    tracking.artifacts.write(model.artifact_location, "MLmodel", b"flavors: {}\n")
    tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=1_700_000_001_234)
    return tracking.runs.run(run.run_id)


def exported(target: Path, **options: bool) -> RunRecord:
    """Record a run in the home of the test, and export it."""
    with open_tracking(paths.home()) as tracking:
        run = rich_run(tracking)
        archive.export(tracking, [run], target, options=archive.Options(**options))
    return run


def build(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write an archive of these files as they are given."""
    import io

    with path.open("w+b") as file:
        writer = Writer(file)
        for name, content in files.items():
            writer.add(name, io.BytesIO(content), len(content))
        writer.finish()
    return path


def contents(path: Path) -> dict[str, bytes]:
    """Name -> bytes of all that is in a ZIP file, by Python's own reader."""
    import zipfile

    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def key(folder: Path, name: str) -> Path:
    """Make an SSH key without a passphrase."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def allow(folder: Path, **signers: Path) -> Path:
    """Write a file of allowed signers: principal -> private key."""
    file = folder / "allowed"
    lines = [
        f'{name} namespaces="proj-archive" {private.with_suffix(".pub").read_text()}'
        for name, private in signers.items()
    ]
    file.write_text("".join(lines))
    return file
