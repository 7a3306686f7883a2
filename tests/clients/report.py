"""The document: results by name, without ids, times and places."""

from __future__ import annotations

import json
import math
import re

import mlflow
from mlflow.exceptions import MlflowException

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
NOW_MS = 1_600_000_000_000
"""Whole numbers above this are times of the run of this script."""


EXPERIMENTS = {}
"""Id -> how it is shown."""


class Report:
    """Results by name, and the names that stand for the ids in them."""

    def __init__(self):
        self.results = {}
        self.section = ""
        self.labels = {}
        self._counts = {}

    def name(self, value, label):
        """Have an id shown as `<label>` from now on, and return it."""
        if label.startswith("experiment "):  # short numbers, which other things are as well
            EXPERIMENTS[str(value)] = "<" + label + ">"
        else:
            self.labels[str(value)] = "<" + label + ">"
        return value

    def add(self, name, value):
        """Record a result."""
        key = self._text(self.section + "." + name)
        if key in self.results:
            raise KeyError(key + " is there already")
        self.results[key] = self._plain(value)

    def check(self, result, action, *arguments, **options):
        """Record what a call returns or raises; returns the value, or None after an error."""
        try:
            value = action(*arguments, **options)
        except MlflowException as error:
            self.add(result, {"raises": type(error).__name__, "code": error.error_code})
        except Exception as error:  # noqa: BLE001  the client's own errors are results too
            self.add(result, {"raises": type(error).__name__})
            self.results[self.section + "." + result + "#message"] = str(error)[:400]
        else:
            self.add(result, value)
            return value
        return None

    def _plain(self, value):
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return "<time>" if value > NOW_MS else int(value)
        if isinstance(value, float):
            if math.isnan(value):
                return "NaN"
            if math.isinf(value):
                return "Infinity" if value > 0 else "-Infinity"
            return round(value, 6)
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        if isinstance(value, (set, frozenset)):
            return sorted(self._plain(item) for item in value)
        if isinstance(value, dict) or hasattr(value, "items"):
            return {str(self._text(str(key))): self._plain(item) for key, item in dict(value).items()}
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, str):
            return self._text(value)
        return self.view(value)

    def _text(self, text):
        if text in self.labels:
            return self.labels[text]
        for known, label in self.labels.items():
            if len(known) > 8:
                text = text.replace(known, label)
        text = re.sub(r"m-[0-9a-f]{32}|[0-9a-f]{32}", self._numbered, text)
        text = re.sub(r"\S*/(?=<run|<id|<model)", "…/", text)
        text = re.sub(r"(…/<[^>]*>)/artifacts\b", r"\1", text)
        if re.fullmatch(r"[a-z]+-[a-z]+-[0-9]+", text):
            return "<generated name>"
        return text

    def _numbered(self, match):
        found = match.group()
        kind = "model" if found.startswith("m-") else "id"
        if found not in self.labels:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self.labels[found] = "<{} {}>".format(kind, self._counts[kind])
        return self.labels[found]

    def view(self, value):
        kind = type(value).__name__
        view = VIEWS.get(kind)
        if view is None:
            return "<{}>".format(kind)
        return self._plain(view(value))


# --- how things are shown ---------------------------------------------------------------------------------


def run_view(run):
    shown = {
        "status": run.info.status,
        "lifecycle": run.info.lifecycle_stage,
        "user": run.info.user_id,
        "experiment": EXPERIMENTS.get(run.info.experiment_id, run.info.experiment_id),
        "started": run.info.start_time is not None,
        "ended": run.info.end_time is not None,
        "params": dict(run.data.params),
        "metrics": dict(run.data.metrics),
        "tags": {key: _tag(key, value) for key, value in run.data.tags.items()},
    }
    if hasattr(run.info, "run_name"):
        shown["name"] = run.info.run_name
    inputs = getattr(run, "inputs", None)
    if inputs is not None and inputs.dataset_inputs:
        shown["inputs"] = [_dataset_input(each) for each in inputs.dataset_inputs]
    models = getattr(inputs, "model_inputs", None)
    if models:
        shown["model inputs"] = [each.model_id for each in models]
    outputs = getattr(run, "outputs", None)
    if outputs is not None and outputs.model_outputs:
        shown["outputs"] = [[each.model_id, each.step] for each in outputs.model_outputs]
    return shown


def _tag(key, value):
    if key == "mlflow.source.name":
        return value.rpartition("/")[2]
    if key == "mlflow.log-model.history":
        return [
            {"artifact_path": each.get("artifact_path"), "flavors": sorted(each.get("flavors", ()))}
            for each in json.loads(value)
        ]
    return value


def _dataset_input(each):
    source = json.loads(each.dataset.source) if each.dataset.source.startswith("{") else each.dataset.source
    return {
        "name": each.dataset.name,
        "type": each.dataset.source_type,
        "source": sorted(source) if isinstance(source, dict) else source,
        "digest": each.dataset.digest,
        "schema": each.dataset.schema,
        "profile": each.dataset.profile,
        "tags": {tag.key: tag.value for tag in each.tags},
    }


def _experiment(each):
    return {
        "id": EXPERIMENTS.get(each.experiment_id, each.experiment_id),
        "name": each.name,
        "lifecycle": each.lifecycle_stage,
        "tags": dict(each.tags),
        "created": getattr(each, "creation_time", None) is not None,
        "updated": getattr(each, "last_update_time", None) is not None,
    }


def _registered(each):
    return {
        "name": each.name,
        "description": each.description,
        "tags": dict(each.tags),
        "aliases": dict(getattr(each, "aliases", None) or {}),
        "latest": [[one.version, one.current_stage] for one in each.latest_versions],
        "created": each.creation_timestamp is not None,
        "updated": each.last_updated_timestamp is not None,
    }


def _version(each):
    return {
        "name": each.name,
        "version": str(each.version),
        "description": each.description,
        "stage": each.current_stage,
        "source": each.source,
        "run": each.run_id,
        "run link": each.run_link,
        "status": each.status,
        "status message": each.status_message,
        "user": each.user_id,
        "tags": dict(each.tags),
        "aliases": sorted(getattr(each, "aliases", None) or ()),
        "created": each.creation_timestamp is not None,
        "updated": each.last_updated_timestamp is not None,
        "model": getattr(each, "model_id", None),
        "params": getattr(each, "params", None),
        "metrics": getattr(each, "metrics", None),
    }


def _logged_model(each):
    return {
        "id": each.model_id,
        "name": each.name,
        "type": each.model_type,
        "experiment": EXPERIMENTS.get(each.experiment_id, each.experiment_id),
        "run": each.source_run_id,
        "status": str(each.status),
        "status message": each.status_message,
        "tags": {key: _tag(key, value) for key, value in each.tags.items()},
        "params": dict(each.params),
        "metrics": sorted(
            [
                [one.key, one.value, one.step, one.run_id, one.dataset_name, one.dataset_digest]
                for one in each.metrics or ()
            ],
            key=str,
        ),
        "created": each.creation_timestamp is not None,
        "updated": each.last_updated_timestamp is not None,
        "located": each.artifact_location.rpartition("/models/")[2],
    }


VIEWS = {
    "Run": run_view,
    "Experiment": _experiment,
    "RegisteredModel": _registered,
    "ModelVersion": _version,
    "LoggedModel": _logged_model,
    "Metric": lambda each: [each.key, each.value, each.step, each.timestamp],
    "FileInfo": lambda each: [each.path, each.is_dir, each.file_size],
    "PagedList": list,
    "RunInfo": lambda each: [each.run_id, each.status, each.lifecycle_stage],
    "int64": int,
    "float64": float,
    "float32": float,
    "ndarray": lambda each: each.tolist(),
}
