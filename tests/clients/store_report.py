"""Writes down all that a stock mlflow client sees of a store, as JSON on stdout. Runs in its interpreter.

Runs, models and versions are named by their ids, experiments by their names. Where files are is left out.

    python store_report.py URI
"""

from __future__ import annotations

import json
import math
import sys

import mlflow
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
ORIGIN = "proj.import."
_LARGEST = 1.7976931348623157e308


def main(uri):
    """Write the report."""
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri, uri)
    if hasattr(client, "search_experiments"):
        found = client.search_experiments(view_type=ViewType.ALL)
    else:
        found = client.list_experiments(view_type=ViewType.ALL)
    experiments = {experiment.experiment_id: experiment for experiment in found}
    report = {"experiments": {}, "runs": {}}
    for number, experiment in experiments.items():
        report["experiments"][experiment.name] = {
            "tags": tags(experiment.tags),
            "lifecycle": experiment.lifecycle_stage,
            "created": getattr(experiment, "creation_time", None),
        }
        for each in client.search_runs([number], run_view_type=ViewType.ALL):
            report["runs"][each.info.run_id] = run(client, client.get_run(each.info.run_id), experiment.name)
    try:
        report["models"] = {each.name: model(client, each) for each in client.search_registered_models()}
    except (MlflowException, AttributeError) as error:
        if VERSION >= (2, 0):
            raise
        print("no registry: {}".format(error), file=sys.stderr)
    if VERSION >= (3, 0):
        report["logged"] = {
            each.model_id: logged(each, experiments)
            for each in client.search_logged_models(list(experiments))
        }
    json.dump(report, sys.stdout, indent=1, sort_keys=True)


def tags(found):
    """Leave out what an import adds."""
    return {key: value for key, value in dict(found).items() if not key.startswith(ORIGIN)}


def number(value):
    """Write a number as JSON can; MLflow's SQL store has the largest number for infinity."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value) or abs(value) == _LARGEST:
        return "inf" if value > 0 else "-inf"
    return value


def run(client, found, experiment):
    """Describe a run."""
    info = found.info
    described = {
        "experiment": experiment,
        "name": getattr(info, "run_name", None) or found.data.tags.get("mlflow.runName") or "",
        "user": info.user_id or "",
        "status": info.status,
        "start": info.start_time,
        "end": info.end_time,
        "lifecycle": info.lifecycle_stage,
        "params": found.data.params,
        "tags": tags(found.data.tags),
        "metrics": {key: number(value) for key, value in found.data.metrics.items()},
        "histories": {
            key: sorted(
                [point.step, point.timestamp, number(point.value)]
                for point in client.get_metric_history(info.run_id, key)
            )
            for key in found.data.metrics
        },
    }
    if info.lifecycle_stage == "active":
        described["files"] = sorted(files(client, info.run_id))
    if getattr(found, "inputs", None) is not None:
        described["inputs"] = sorted(
            [each.dataset.name, each.dataset.digest, each.dataset.source_type, each.dataset.source]
            + [each.dataset.schema, each.dataset.profile, sorted((tag.key, tag.value) for tag in each.tags)]
            for each in found.inputs.dataset_inputs
        )
        used = getattr(found.inputs, "model_inputs", None) or []
        described["model inputs"] = sorted(each.model_id for each in used)
    if getattr(found, "outputs", None) is not None:
        described["outputs"] = sorted([each.model_id, each.step] for each in found.outputs.model_outputs)
    return described


def files(client, run_id, path=None):
    """Yield path and size of all files of a run."""
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from files(client, run_id, entry.path)
        else:
            yield [entry.path, entry.file_size]


def model(client, found):
    """Describe a registered model with its versions."""
    return {
        "description": found.description or "",
        "tags": tags(found.tags),
        "created": found.creation_timestamp,
        "updated": found.last_updated_timestamp,
        "aliases": {alias: int(version) for alias, version in getattr(found, "aliases", {}).items()},
        "versions": {
            str(each.version): {
                "description": each.description or "",
                "stage": each.current_stage,
                "run": each.run_id or "",
                "status": each.status,
                "user": each.user_id or "",
                "tags": tags(each.tags),
                "created": each.creation_timestamp,
                "updated": each.last_updated_timestamp,
            }
            for each in client.search_model_versions("name='{}'".format(found.name))
        },
    }


def logged(found, experiments):
    """Describe a logged model."""
    return {
        "name": found.name,
        "experiment": experiments[found.experiment_id].name,
        "type": found.model_type or "",
        "run": found.source_run_id or "",
        "status": str(found.status),
        "created": found.creation_timestamp,
        "updated": found.last_updated_timestamp,
        "params": found.params,
        "tags": tags(found.tags),
        "metrics": [
            [each.key, number(each.value), each.step, each.timestamp, each.run_id]
            + [each.dataset_name, each.dataset_digest]
            for each in found.metrics or []
        ],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
