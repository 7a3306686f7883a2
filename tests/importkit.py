"""Stores as MLflow of four ages wrote them, from the texts in `tests/mlflow_stores`.

Each holds the same: the experiments Default, wine and (deleted) gone; seven runs, one of them below another,
one failed, one deleted; a registered model with a gap in its versions, but for the oldest folder; and of
MLflow 3 logged models.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from proj.importing import import_from
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.importing import ImportReport
    from proj.model import RunRecord
    from proj.tracking import Tracking

TEXTS = Path(__file__).with_name("mlflow_stores")
AGES = ("1.25", "2.9", "2.22", "3.17")
NEWEST = AGES[-1]
_MARK = "=== "


def mlruns(folder: Path, age: str = NEWEST) -> Path:
    """Write an `mlruns` folder into a folder, and return it."""
    root = folder / "mlruns"
    text = (TEXTS / f"mlruns-{age}.txt").read_text(encoding="utf-8")
    text = text.removesuffix("\n").replace("{root}", str(root))
    for section in f"\n{text}".split(f"\n{_MARK}")[1:]:
        name, _, content = section.partition("\n")
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return root


def database(folder: Path, age: str = NEWEST) -> Path:
    """Write a database into a folder, with the artifacts of one run beside it, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mlflow.db"
    text = (TEXTS / f"mlflow-{age}.sql").read_text(encoding="utf-8").replace("{root}", str(folder))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)
        rows = connection.execute(
            "SELECT artifact_uri FROM runs WHERE run_uuid IN (SELECT run_uuid FROM params "
            "WHERE key = 'alpha')"
        ).fetchall()
    for (uri,) in rows:
        root = Path(uri.removeprefix("file://"))
        root = root if root.is_absolute() else folder / root
        (root / "out").mkdir(parents=True)
        (root / "top.txt").write_text("top")
    return path


def bring(
    source: Path | str,
    home: Path,
    *,
    experiments: Sequence[str] = (),
    artifacts: bool = True,
    beside: Sequence[Path] = (),
    dry_run: bool = False,
) -> ImportReport:
    """Import a store into a home."""
    return import_from(
        f"mlflow:{source}", home, experiments=experiments, artifacts=artifacts, beside=beside, dry_run=dry_run
    )


def all_runs(tracking: Tracking) -> tuple[RunRecord, ...]:
    """All runs, deleted ones too."""
    return tracking.runs.search_runs(RunQuery(lifecycle="all")).runs


def named(tracking: Tracking, name: str) -> RunRecord:
    """The one run of a name."""
    (found,) = [run for run in all_runs(tracking) if run.run_name == name]
    return found


def content(tracking: Tracking, uri: str, path: str) -> bytes:
    """What is in an artifact."""
    with tracking.artifacts.open(uri, path) as file:
        return file.read()


def run_folder(root: Path, name: str) -> Path:
    """The folder of the run of a name in an `mlruns` folder."""
    (found,) = [tag.parents[1] for tag in root.glob("*/*/tags/mlflow.runName") if tag.read_text() == name]
    return found
