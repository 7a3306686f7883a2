"""What stock mlflow clients see of `proj server`, and what they see of mlflow's own.

Each client runs `tests/clients/parity.py` against both, in its own interpreter; the documents are compared.
"""

from __future__ import annotations

import fnmatch
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from clients import CLIENTS, FOLDER, NEWEST, QUIET, mlflow_server, proj_server
from proj import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]

OLDEST = CLIENTS[0]
OWN_SERVER = ("models", "registry", "others")
"""Sections that compare the oldest client with a server of its age: later ones have no registry for it."""

_KEPT = "infinities are kept, where MLflow's SQL store turns them into the largest number"
_TOLD = "what cannot be meant is refused, where MLflow reads something else in it"
_DEFECT = "MLflow's server fails (a status of 500) at what is a mistake of the client"
_KINDER = "the grammar is one for all, so some fields may be asked for in more ways"
DELIBERATE: dict[str, str] = {
    "artifacts.tree": "an empty file has a size, which is 0",
    "experiments.rename deleted": _DEFECT,
    "experiments.strange id": "an experiment that is not there is not there, whatever its id looks like",
    "logged_models.params conflict": "the code is that of a conflict between parameters of runs",
    "logged_models.search by dataset": "MLflow finds nothing where a dataset is given without its digest",
    "logged_models.search colour = 'red'": _DEFECT,
    "logged_models.search name = 5": _TOLD,
    "logged_models.search status = 'PENDING'": "MLflow keeps a number and compares it with the word",
    "metrics.extreme": _KEPT,
    "metrics.history of no run": _TOLD,
    "metrics.inf": _KEPT,
    "metrics.minus inf": _KEPT,
    "metrics.run": _KEPT,
    "others.traces": "no traces are kept, and a search for them says so",
    "others.webhooks": "there are no webhooks, and a list of them says so",
    "registry.models by [[]'name', 'name DESC']": _DEFECT,
    "registry.models max 0": "a page has at least one entry",
    "registry.stage wrong archive": _DEFECT,
    "registry.versions by [[]'name', 'name']": _DEFECT,
    "registry.versions creation_timestamp > 0": _KINDER,
    "registry.versions run_id = ''": "a version without a run has none, and not one with an empty id",
    "search.filter metrics.rmse < 1 and": _TOLD,
    "search.filter metrics.rmse IS *NULL": _KINDER,
    "search.filter params. = 'x'": _TOLD,
    "search.filter params.kind IN ('even')": _KINDER,
    "search.filter tags.stage IN ('s0', 's2')": _KINDER,
    "search.order [[]'metrics.']": _TOLD,
}
"""Result -> why ours is another on purpose. Names may hold `*`."""

_compared: dict[str, set[str]] = {}
"""Client -> entries of `DELIBERATE` that it bore out."""


def _results(python: Path, url: str, folder: Path, *sections: str) -> dict[str, Any]:
    """Run the script in a folder that is no repository, as it records the commit it comes from."""
    script = shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__")) / "parity.py"
    variables = {
        **QUIET,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "HOME": str(folder),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "LOGNAME": "ada",
    }
    output = folder / "results.json"
    process.run([str(python), str(script), str(output), *sections], cwd=folder, env=variables, timeout_s=600)
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if not name.endswith("#message")}


def _reason(name: str) -> str | None:
    return next((entry for entry in DELIBERATE if fnmatch.fnmatchcase(name, entry)), None)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_sees_what_it_sees_of_mlflows_own_server(
    name: str, client: Callable[[str], Path], tmp_path: Path
) -> None:
    python = client(name)
    with mlflow_server(client(NEWEST), tmp_path / "mlflow") as url:
        expected = _results(python, url, tmp_path / "expected")
    if name == OLDEST:
        expected = {key: value for key, value in expected.items() if key.partition(".")[0] not in OWN_SERVER}
        with mlflow_server(python, tmp_path / "old") as url:
            expected |= _results(python, url, tmp_path / "expected-old", *OWN_SERVER)
    with proj_server(tmp_path / "proj") as url:
        seen = _results(python, url, tmp_path / "seen")

    assert not [key for key in seen if key.endswith(".stopped")]
    different = {
        key: (expected.get(key, "nothing"), seen.get(key, "nothing"))
        for key in expected.keys() | seen.keys()
        if expected.get(key, "nothing") != seen.get(key, "nothing")
    }
    _compared[name] = {entry for key in different if (entry := _reason(key)) is not None}
    unexpected = {key: both for key, both in different.items() if _reason(key) is None}
    assert not unexpected, json.dumps(unexpected, indent=1, ensure_ascii=False)


def test_all_that_is_listed_as_different_is_different() -> None:
    if set(_compared) != set(CLIENTS):
        pytest.skip("not all clients were compared")
    assert set(DELIBERATE) == set().union(*_compared.values())
