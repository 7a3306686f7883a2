"""Record what programs receive under a stock `mlflow run` for each `tests/projects/oracle-*`.

Run with the interpreter of a virtual environment that has MLflow; see README.md.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle_cases import EXPECTATIONS, Case, Workshop, cases


def _record(case: Case, folder: Path, mlflow: Any) -> dict[str, Any]:
    workshop = Workshop(case, folder)
    before = dict(os.environ)
    os.environ.update(workshop.variables)
    os.chdir(workshop.project)  # noqa: TID251  MLflow resolves paths against the process's own folder
    outcome, reason = "finished", None
    try:
        mlflow.projects.run(
            uri=str(workshop.project),
            entry_point=case.entry_point,
            parameters=case.parameters,
            env_manager="local",
            storage_dir=str(folder),
        )
    except Exception as error:  # noqa: BLE001  any exception is MLflow's answer, tracebacks of bugs included
        outcome = "failed" if str(error).startswith("Run (ID") else "refused"
        reason = None if outcome == "failed" else f"{type(error).__name__}: {error}".split("\n")[0]
    finally:
        os.chdir("/")  # noqa: TID251  see above
        os.environ.clear()
        os.environ.update(before)
    record: dict[str, Any] = {"outcome": outcome, "calls": [call._asdict() for call in workshop.calls()]}
    if reason:
        record["reason"] = reason.replace(str(workshop.project), "<project>")[:200]
    return record


def main() -> None:
    mlflow = importlib.import_module("mlflow")
    importlib.import_module("mlflow.projects")
    recorded = {}
    with tempfile.TemporaryDirectory() as scratch:
        mlflow.set_tracking_uri(f"sqlite:///{scratch}/mlflow.db")
        for number, case in enumerate(cases()):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            recorded[case.identifier] = _record(case, folder, mlflow)
    text = json.dumps({"mlflow": mlflow.__version__, "runs": recorded}, indent=1, ensure_ascii=True)
    EXPECTATIONS.write_text(text + "\n", "utf-8")
    sys.stdout.write(f"{len(recorded)} runs recorded with mlflow {mlflow.__version__}\n")


if __name__ == "__main__":
    main()
