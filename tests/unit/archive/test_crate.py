from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from rocrate.rocrate import ROCrate  # type: ignore[import-untyped]  # it has no types

from archives import contents, rich_run
from proj import archive, paths
from proj.model import NewRun, RunStatus
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import RunRecord


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunRecord, ...]:
    """A run that finished, and one that failed, in `crate.zip`."""
    with open_tracking(paths.home()) as tracking:
        good = rich_run(tracking)
        bad = tracking.runs.create_run(NewRun(experiment_id="0", run_name="bad", started_ms=1, user="bob"))
        tracking.runs.update_run(
            bad.run_id, status=RunStatus.FAILED, ended_ms=2, tags={"proj.failure.message": "exit code 3"}
        )
        found = (good, tracking.runs.run(bad.run_id))
        archive.export(tracking, found, tmp_path / "crate.zip")
    return found


@pytest.fixture
def crate(runs: tuple[RunRecord, ...], tmp_path: Path) -> Any:
    with zipfile.ZipFile(tmp_path / "crate.zip") as file:
        file.extractall(tmp_path / "crate")
    return ROCrate(tmp_path / "crate")


def test_the_library_of_ro_crate_reads_it(crate: Any, tmp_path: Path) -> None:
    files = contents(tmp_path / "crate.zip")
    assert crate.root_dataset["name"] == "Run rich and 1 more"
    assert crate.root_dataset["datePublished"] == "2023-11-14T22:13:21.234+00:00"
    entities = [entity for entity in crate.data_entities if entity.type == "File"]
    found = {str(entity.source.relative_to(tmp_path / "crate")): entity for entity in entities}
    listed = {name for name in files if not name.startswith(("manifest", "statement", "ro-crate"))}
    assert found.keys() == listed
    for name, entity in found.items():
        assert entity["sha256"] == hashlib.sha256(files[name]).hexdigest()
        assert int(entity["contentSize"]) == len(files[name])


def test_it_says_what_the_profile_asks_for(crate: Any, runs: tuple[RunRecord, ...]) -> None:
    """https://www.researchobject.org/workflow-run-crate/profiles/process_run_crate/."""
    root = crate.root_dataset
    assert root["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    assert root["conformsTo"].type == "CreativeWork"
    assert root["license"].type == "CreativeWork"
    assert root["license"]["description"]
    assert [person["name"] for person in root["author"]] == [run.user for run in runs]
    good, bad = root["mentions"]
    for action, run in ((good, runs[0]), (bad, runs[1])):
        assert action.type == "CreateAction"
        assert action["identifier"] == run.run_id
        assert action["name"]
        assert action["description"]
        assert action["instrument"].type == "SoftwareApplication"
        assert action["instrument"]["name"]
        assert action["agent"].type == "Person"
        assert action["agent"]["name"] == run.user
    assert good["startTime"] == "2023-11-14T22:13:20.000+00:00"
    assert good["endTime"] == "2023-11-14T22:13:21.234+00:00"
    assert good["actionStatus"] in (
        "http://schema.org/CompletedActionStatus",
        {"@id": "http://schema.org/CompletedActionStatus"},
    )
    assert "FailedActionStatus" in str(bad["actionStatus"])
    assert bad["error"] == "exit code 3"
    values = {each["name"]: each["value"] for each in good["object"] if each.type == "PropertyValue"}
    assert values == {"alpha": "0.1", "leer": ""}
    results = {entity["name"] for entity in good["result"]}
    assert {"model.bin", "metrics.jsonl", "MLmodel"} <= results


def test_every_reference_leads_to_something(crate: Any, tmp_path: Path) -> None:
    graph = json.loads((tmp_path / "crate/ro-crate-metadata.json").read_text())["@graph"]
    ids = [entity["@id"] for entity in graph]
    assert len(ids) == len(set(ids))

    def references(value: object) -> set[str]:
        if isinstance(value, list):
            return {each for item in value for each in references(item)}
        return {str(value["@id"])} if isinstance(value, dict) else set()

    used = {each for entity in graph for value in entity.values() for each in references(value)}
    outside = {
        each for each in used if not each.startswith(("http://schema.org/", "https://w3id.org/ro/crate/"))
    }
    assert outside <= set(ids)
