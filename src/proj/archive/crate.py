"""RO-Crate metadata, so that archives of research such as Zenodo, and people, see what is in the file.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) and the profile Process Run Crate 0.5
(https://w3id.org/ro/wfrun/process/0.5): each run is a `CreateAction`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from proj.archive import manifest
from proj.archive.statement import iso
from proj.model import RunStatus
from proj.record import STDERR, STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proj.archive.container import Stored
    from proj.archive.documents import ArchivedRun

_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
"""Says what `sha256` means."""
_MEDIA_TYPES = {
    "bundle": "application/x-git-bundle",
    "csv": "text/csv",
    "html": "text/html",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "log": "text/plain",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "toml": "application/toml",
    "txt": "text/plain",
    "whl": "application/zip",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
}
"""A table of our own: that of Python's `mimetypes` depends on the machine."""

_Entity = dict[str, Any]

_LICENSE: _Entity = {
    "@id": "#license",
    "@type": "CreativeWork",
    "name": "No license is stated",
    "description": "Nothing here says how the whole may be used: ask its authors. Code and packages in it "
    "may have licenses of their own.",
}
"""A crate has to have one, and no record tells which; whoever publishes it can put theirs in its place."""


def write_crate(runs: Sequence[ArchivedRun], files: Sequence[Stored]) -> bytes:
    """Write `ro-crate-metadata.json`.

    Args:
        runs: The runs.
        files: All other files that the manifest names.
    """
    files = sorted(files, key=lambda file: file.name)
    graph: list[_Entity] = [
        {
            "@id": manifest.CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": _SPECIFICATION},
        },
        _root(runs, files),
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        _LICENSE,
        *(_file(file) for file in files),
    ]
    seen = {entity["@id"] for entity in graph}
    for run in runs:
        for entity in _of_run(run, files):
            if entity["@id"] not in seen:
                seen.add(entity["@id"])
                graph.append(entity)
    crate = {"@context": [f"{_SPECIFICATION}/context", _TERMS], "@graph": graph}
    return msgspec.json.format(msgspec.json.encode(crate), indent=2) + b"\n"


def _root(runs: Sequence[ArchivedRun], files: Sequence[Stored]) -> _Entity:
    first = runs[0]
    others = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run {first.name}{others}",
        "description": f"Computational runs of the experiment {first.experiment}: records, code, "
        "environments and results. `proj import` takes them in.",
        "datePublished": _time(max(run.ended_ms for run in runs)),
        "conformsTo": {"@id": _PROFILE},
        "license": {"@id": _LICENSE["@id"]},
        "author": _references(dict.fromkeys(_agent(run)["@id"] for run in runs)),
        "hasPart": _references(_id(file.name) for file in files),
        "mentions": _references(f"#run-{run.run_id}" for run in runs),
    }


def _references(identifiers: Iterable[str]) -> _Entity | list[_Entity]:
    """References to entities; one alone stands without a list, as JSON-LD has it when it is flattened."""
    found = [{"@id": each} for each in identifiers]
    return found[0] if len(found) == 1 else found


def _agent(run: ArchivedRun) -> _Entity:
    return {"@id": f"#person-{quote(run.user)}", "@type": "Person", "name": run.user or "unknown"}


def _file(file: Stored) -> _Entity:
    entity: _Entity = {
        "@id": _id(file.name),
        "@type": "File",
        "name": file.name.rpartition("/")[2],
        "contentSize": str(file.size_bytes),
        "sha256": file.digest,
    }
    media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2].lower())
    return entity if media_type is None else {**entity, "encodingFormat": media_type}


def _of_run(run: ArchivedRun, files: Sequence[Stored]) -> Iterator[_Entity]:
    software, agent = _software(run), _agent(run)
    values = [
        {
            "@id": f"#run-{run.run_id}-parameter-{quote(name, safe='')}",
            "@type": "PropertyValue",
            "name": name,
            "value": value,
        }
        for name, value in sorted(run.params.items())
    ]
    inputs = [
        {
            "@id": f"#dataset-{quote(each.dataset.name, safe='')}-{quote(each.dataset.digest, safe='')}",
            "@type": "Dataset",
            "name": each.dataset.name,
            "identifier": each.dataset.digest,
        }
        for each in run.inputs.datasets
    ]
    yield _action(run, software, agent, [*values, *inputs], files)
    yield software
    yield agent
    yield from values
    yield from inputs


def _action(
    run: ArchivedRun, software: _Entity, agent: _Entity, objects: Sequence[_Entity], files: Sequence[Stored]
) -> _Entity:
    action: _Entity = {
        "@id": f"#run-{run.run_id}",
        "@type": "CreateAction",
        "name": f"Run {run.name}",
        "identifier": run.run_id,
        "description": f"Run {run.run_id} of the experiment {run.experiment}, which ended as "
        f"{run.status.value}.",
        "instrument": {"@id": software["@id"]},
        "agent": {"@id": agent["@id"]},
        "startTime": _time(run.started_ms),
        "endTime": _time(run.ended_ms),
        "object": _references(entity["@id"] for entity in objects),
        "result": _references(_id(name) for name in _results(run, files)),
        "actionStatus": "http://schema.org/"
        + ("CompletedActionStatus" if run.status is RunStatus.FINISHED else "FailedActionStatus"),
    }
    if run.status is not RunStatus.FINISHED:
        action["error"] = run.tags.get("proj.failure.message") or run.status.value
    return action


def _software(run: ArchivedRun) -> _Entity:
    """The project's entry point."""
    root = None if run.source is None else run.source.snapshot.root
    entry_point = run.tags.get("mlflow.project.entryPoint", "main")
    tree = run.run_id if root is None else root.tree
    url = root.repository_url if root is not None else None
    is_public = url is not None and url.startswith(("https://", "http://"))
    software: _Entity = {
        "@id": f"{url if is_public else ''}#software-{quote(entry_point, safe='')}-{tree}",
        "@type": "SoftwareApplication",
        "name": f"{run.experiment}: {entry_point}",
    }
    if root is not None:
        software["softwareVersion"] = root.commit or root.tree
    if is_public:
        software["url"] = url
    if run.source is not None and run.source.bundle is not None:
        software["subjectOf"] = {"@id": _id(run.source.bundle)}
    return software


def _results(run: ArchivedRun, files: Sequence[Stored]) -> Iterator[str]:
    """What a run made: its metrics, logs, artifacts and models; what else is below `proj/` made the run."""
    prefix = manifest.artifacts_of(run.run_id)
    models = tuple(manifest.files_of_model(model.model_id) for model in run.models)
    for file in files:
        artifact = file.name[len(prefix) :] if file.name.startswith(prefix) else ""
        made = artifact and (not artifact.startswith("proj/") or artifact in (STDOUT, STDERR))
        if file.name == manifest.metrics_file(run.run_id) or made or file.name.startswith(models or "\0"):
            yield file.name


def _time(moment_ms: int) -> str:
    """As the profile's checks have it: with an offset, not a `Z`."""
    return iso(moment_ms).replace("Z", "+00:00")


def _id(name: str) -> str:
    return quote(name)
