"""What a stock mlflow client sees of a tracking server, as one JSON document.

Runs under the client's own interpreter, Python 3.8 and mlflow 1.25 up to the newest, with `MLFLOW_TRACKING_URI`
set and a new and empty server behind it. The document holds no ids, times or places, so that those of two servers
can be compared. What a client does not have is left out.

    python parity.py OUTPUT.json [SECTION ...]
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

try:
    from mlflow.entities import Metric, Param, RunTag, ViewType
except ImportError:  # pragma: no cover  1.x has it elsewhere
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import ViewType

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
        self._labels = {}
        self._counts = {}

    def name(self, value, label):
        """Have an id shown as `<label>` from now on, and return it."""
        if label.startswith("experiment "):  # short numbers, which other things are as well
            EXPERIMENTS[str(value)] = "<" + label + ">"
        else:
            self._labels[str(value)] = "<" + label + ">"
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
        return self._view(value)

    def _text(self, text):
        if text in self._labels:
            return self._labels[text]
        for known, label in self._labels.items():
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
        if found not in self._labels:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._labels[found] = "<{} {}>".format(kind, self._counts[kind])
        return self._labels[found]

    def _view(self, value):
        kind = type(value).__name__
        view = VIEWS.get(kind)
        if view is None:
            return "<{}>".format(kind)
        return self._plain(view(value))


# --- how things are shown ---------------------------------------------------------------------------------


def _run(run):
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
    "Run": _run,
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


# --- sections ---------------------------------------------------------------------------------------------


def fluent(report):
    """The functions of `mlflow` as scripts call them."""
    report.check("unset", lambda: mlflow.get_experiment_by_name("first"))
    mlflow.set_experiment("first")
    experiment = mlflow.get_experiment_by_name("first")
    report.name(experiment.experiment_id, "experiment first")
    report.add("experiment", experiment)
    report.check("again", lambda: mlflow.set_experiment("first") and None)
    with mlflow.start_run(run_name="one") as run:
        report.name(run.info.run_id, "run one")
        mlflow.log_param("alpha", 0.5)
        mlflow.log_params(
            {"layers": [1, 2], "name": "ünïcode ✓", "none": None, "flag": True, "spaces": " a b "}
        )
        mlflow.log_metric("loss", 0.25)
        for step in range(5):
            mlflow.log_metric("acc", step / 10, step=step)
        mlflow.log_metrics({"a": 1, "b/c d.e": -2.5}, step=3)
        mlflow.set_tag("colour", "red")
        mlflow.set_tags({"mlflow.note.content": "a *note*", "number": 7})
        report.add("active", mlflow.active_run().info.status)
    report.add("run", mlflow.get_run(run.info.run_id))
    with mlflow.start_run() as unnamed:
        pass
    report.add("unnamed", mlflow.get_run(unnamed.info.run_id))
    try:
        with mlflow.start_run(run_name="failing") as failing:
            raise ValueError("the script fails")
    except ValueError:
        report.add("failing", mlflow.get_run(failing.info.run_id))
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("later", 1)
    report.add("continued", mlflow.get_run(run.info.run_id))
    mlflow.start_run(run_name="killed")
    killed = mlflow.active_run().info.run_id
    mlflow.end_run("KILLED")
    report.add("killed", mlflow.get_run(killed))
    mlflow.delete_run(killed)
    report.add("deleted", mlflow.get_run(killed))


def nested(report):
    """Runs below runs."""
    mlflow.set_experiment("nesting")
    report.name(mlflow.get_experiment_by_name("nesting").experiment_id, "experiment nesting")
    children = []
    with mlflow.start_run(run_name="parent") as parent:
        report.name(parent.info.run_id, "run parent")
        for number in range(2):
            with mlflow.start_run(run_name="child {}".format(number), nested=True) as child:
                report.name(child.info.run_id, "run child {}".format(number))
                mlflow.log_param("number", number)
                children.append(child.info.run_id)
                with mlflow.start_run(run_name="leaf", nested=True) as leaf:
                    mlflow.log_metric("deep", number)
        report.check("not nested", mlflow.start_run)
    for number, child in enumerate(children):
        report.add("child {}".format(number), mlflow.get_run(child))
    report.add("leaf", mlflow.get_run(leaf.info.run_id))
    found = mlflow.search_runs(
        filter_string="tags.mlflow.parentRunId = '{}'".format(parent.info.run_id), order_by=["params.number"]
    )
    report.add("found", list(found["params.number"]))
    if VERSION >= (2, 0):
        found = mlflow.search_runs(filter_string="run_name LIKE 'child%'", order_by=["run_name DESC"])
        report.add("found by name", list(found["tags.mlflow.runName"]))


def metrics(report):
    """Histories, extreme values, batches."""
    client = MlflowClient()
    experiment = report.name(client.create_experiment("metrics"), "experiment metrics")
    run = client.create_run(experiment)
    run_id = report.name(run.info.run_id, "run metrics")
    for value in (float("nan"), float("inf"), float("-inf"), 1e308, -1e-308, 0.1, 3, -0.0):
        report.check("log {!r}".format(value), client.log_metric, run_id, "extreme", value, 1000, 0)
    report.add("extreme", client.get_metric_history(run_id, "extreme"))
    for name, value in (("nan", "nan"), ("inf", "inf"), ("minus inf", "-inf")):
        client.log_metric(run_id, name, float(value), 5, 1)
        report.add(name, client.get_metric_history(run_id, name))
    points = [(1.0, 10, 0), (3.0, 30, 2), (2.0, 20, 1), (9.0, 5, 2), (3.5, 30, 2), (0.5, 1, -1)]
    for value, timestamp, step in points:
        client.log_metric(run_id, "order", value, timestamp, step)
    client.log_metric(run_id, "order", 3.5, 30, 2)
    report.add("order", sorted(map(report._view, client.get_metric_history(run_id, "order"))))
    report.check("missing history", client.get_metric_history, run_id, "nothing")
    report.check("history of no run", client.get_metric_history, "0" * 32, "nothing")
    many = [Metric("batch", float(step), 1000 + step, step) for step in range(900)]
    client.log_batch(run_id, metrics=many, params=[Param("p", "1")], tags=[RunTag("t", "1")])
    report.add("batch", len(client.get_metric_history(run_id, "batch")))
    report.check("too many metrics", client.log_batch, run_id, metrics=[*many, *many[:101]])
    report.check(
        "too many params", client.log_batch, run_id, params=[Param("p{}".format(n), "") for n in range(101)]
    )
    report.check(
        "too many tags", client.log_batch, run_id, tags=[RunTag("t{}".format(n), "") for n in range(101)]
    )
    same = [Param("twice", "a"), Param("twice", "b")]
    report.check("two values in a batch", client.log_batch, run_id, params=same)
    report.check("the same twice in a batch", client.log_batch, run_id, params=[Param("same", "a")] * 2)
    report.check("empty batch", client.log_batch, run_id)
    report.check("big step", client.log_metric, run_id, "big", 1.0, 2**53, 2**62)
    report.add("big", [report._view(each) for each in client.get_metric_history(run_id, "big")])
    report.check("metric name", client.log_metric, run_id, "../up", 1.0)
    report.check("metric name bad character", client.log_metric, run_id, "a?b", 1.0)
    report.check("metric name too long", client.log_metric, run_id, "m" * 251, 1.0)
    report.check("metric name at the limit", client.log_metric, run_id, "m" * 250, 1.0)
    report.check("metric is text", client.log_metric, run_id, "text", "abc")
    report.check("metric with a colon", client.log_metric, run_id, "a:b", 1.0)
    report.add("run", client.get_run(run_id))


def params_and_tags(report):
    """What may be logged, and what may not."""
    client = MlflowClient()
    experiment = report.name(client.create_experiment("params"), "experiment params")
    run_id = report.name(client.create_run(experiment).info.run_id, "run params")
    check = report.check
    check("param", client.log_param, run_id, "p", "1")
    check("param again", client.log_param, run_id, "p", "1")
    check("param conflict", client.log_param, run_id, "p", "2")
    check("param conflict in a batch", client.log_batch, run_id, params=[Param("new", "1"), Param("p", "3")])
    check("empty param", client.log_param, run_id, "empty", "")
    check("long param", client.log_param, run_id, "long", "x" * 6000)
    check("too long param", client.log_param, run_id, "too long", "x" * 6001)
    check("param key at the limit", client.log_param, run_id, "k" * 250, "x")
    check("param key too long", client.log_param, run_id, "k" * 251, "x")
    for key in ("", ".", "..", "/a", "a/../b", "a//b", "a?b", "a%b", "é", "a b", "a:b", "a/b", "a'b", 'a"b'):
        check("param key {!r}".format(key), client.log_param, run_id, key, "x")
        check("tag key {!r}".format(key), client.set_tag, run_id, key, "x")
    check("tag", client.set_tag, run_id, "t", "1")
    check("tag again", client.set_tag, run_id, "t", "2")
    check("tag empty", client.set_tag, run_id, "e", "")
    check("long tag", client.set_tag, run_id, "long", "x" * 5000)
    check("longer tag", client.set_tag, run_id, "longer", "x" * 8000)
    check("too long tag", client.set_tag, run_id, "too long", "x" * 8001)
    check("tag key too long", client.set_tag, run_id, "k" * 251, "x")
    check("delete tag", client.delete_tag, run_id, "t")
    check("delete tag again", client.delete_tag, run_id, "t")
    check("tag of no run", client.set_tag, "0" * 32, "t", "1")
    check("param of no run", client.log_param, "0" * 32, "t", "1")
    check("metric of no run", client.log_metric, "0" * 32, "t", 1.0)
    check("strange run id", client.get_run, "nothing")
    check("terminate no run", client.set_terminated, "0" * 32)
    check("name by tag", client.set_tag, run_id, "mlflow.runName", "renamed")
    run = client.get_run(run_id)
    report.add(
        "run",
        {
            **_run(run),
            "params": {k: v[:9] for k, v in run.data.params.items()},
            "tags": sorted(run.data.tags),
        },
    )
    if hasattr(client, "update_run"):
        check("update", client.update_run, run_id, status="FINISHED", name="better")
        report.add("updated", client.get_run(run_id).info.run_name)
        report.add("updated tag", client.get_run(run_id).data.tags.get("mlflow.runName"))
    client.set_terminated(run_id, "FAILED", 1234)
    report.add("terminated", [client.get_run(run_id).info.status, client.get_run(run_id).info.end_time])
    check("reopen", client.set_terminated, run_id, "RUNNING")
    report.add("reopened", client.get_run(run_id).info.status)
    client.delete_run(run_id)
    check("delete again", client.delete_run, run_id)
    check("get deleted", lambda: client.get_run(run_id).info.lifecycle_stage)
    check("log to deleted", client.log_param, run_id, "late", "1")
    check("metric to deleted", client.log_metric, run_id, "late", 1.0)
    check("tag deleted", client.set_tag, run_id, "late", "1")
    check("batch to deleted", client.log_batch, run_id, params=[Param("late", "1")])
    check("terminate deleted", client.set_terminated, run_id)
    client.restore_run(run_id)
    check("restore again", client.restore_run, run_id)
    report.add("restored", client.get_run(run_id).info.lifecycle_stage)
    check("restore no run", client.restore_run, "0" * 32)
    check("delete no run", client.delete_run, "0" * 32)
    tagged = client.create_run(
        experiment, start_time=5, tags={"mlflow.runName": "by tag", "mlflow.user": "Ada"}
    )
    report.add("created with tags", tagged)
    report.add("start", tagged.info.start_time)


def experiments(report):
    """Experiments from cradle to grave."""
    client = MlflowClient()
    check = report.check
    check("default", client.get_experiment, "0")
    options = {"tags": {"team": "red"}} if VERSION >= (1, 20) else {}
    first = report.name(client.create_experiment("exp a", **options), "experiment a")
    check("get", client.get_experiment, first)
    check("duplicate", client.create_experiment, "exp a")
    check("empty name", client.create_experiment, "")
    check("long name", client.create_experiment, "n" * 501)
    check("missing", client.get_experiment, "123456")
    check("strange id", client.get_experiment, "abc")
    check("by missing name", client.get_experiment_by_name, "nothing")
    check("run in no experiment", client.create_run, "123456")
    check("tag", client.set_experiment_tag, first, "purpose", "test")
    check("tag again", client.set_experiment_tag, first, "purpose", "other")
    check("tag too long", client.set_experiment_tag, first, "k" * 251, "other")
    check("tag missing", client.set_experiment_tag, "123456", "purpose", "test")
    if hasattr(client, "delete_experiment_tag"):
        check("untag", client.delete_experiment_tag, first, "purpose")
        check("untag again", client.delete_experiment_tag, first, "purpose")
    check("rename", client.rename_experiment, first, "exp A")
    check("rename missing", client.rename_experiment, "123456", "exp A")
    check("renamed", client.get_experiment, first)
    check("by new name", client.get_experiment_by_name, "exp A")
    run = client.create_run(first)
    report.name(run.info.run_id, "run in a")
    check("delete", client.delete_experiment, first)
    check("delete again", client.delete_experiment, first)
    check("deleted", client.get_experiment, first)
    check("deleted by name", client.get_experiment_by_name, "exp A")
    check("run of deleted", lambda: client.get_run(run.info.run_id).info.lifecycle_stage)
    check("create deleted", client.create_experiment, "exp A")
    check("set deleted", mlflow.set_experiment, "exp A")
    check("run in deleted", client.create_run, first)
    check("rename deleted", client.rename_experiment, first, "exp B")
    check("tag deleted", client.set_experiment_tag, first, "x", "y")
    check("restore", client.restore_experiment, first)
    check("restore again", client.restore_experiment, first)
    check("restored", client.get_experiment, first)
    check("run of restored", lambda: client.get_run(run.info.run_id).info.lifecycle_stage)
    check("delete missing", client.delete_experiment, "123456")
    check("restore missing", client.restore_experiment, "123456")
    if not hasattr(client, "search_experiments"):
        return
    for name in ("exp-1", "exp-2", "exp-3", "other"):
        report.name(client.create_experiment(name, tags={"n": name}), "experiment " + name)
    client.delete_experiment(client.get_experiment_by_name("exp-3").experiment_id)
    names = lambda **query: [each.name for each in client.search_experiments(**query)]  # noqa: E731
    check("search", names, order_by=["name"])
    check("search deleted", names, view_type=ViewType.DELETED_ONLY)
    check("search all", names, view_type=ViewType.ALL, order_by=["name DESC"])
    check("search name", names, filter_string="name = 'exp-1'")
    check("search attribute", names, filter_string="attribute.name != 'exp-1'", order_by=["name"])
    check("search like", names, filter_string="name LIKE 'exp-%'", order_by=["name"])
    check("search ilike", names, filter_string="name ILIKE 'EXP-%'", order_by=["name"])
    check("search tag", names, filter_string="tags.n = 'exp-2'")
    check("search tags", names, filter_string="tags.n LIKE 'exp%' AND name = 'exp-1'")
    check("search time", names, filter_string="creation_time > 0", order_by=["name ASC"])
    check("search later", names, filter_string="last_update_time > 9999999999999")
    check("search newest", names, order_by=["experiment_id DESC"])
    check("search wrong", names, filter_string="colour = 'red'")
    check("search nonsense", names, filter_string="name ==== 'red'")
    check("search wrong order", names, order_by=["colour"])
    check("search none", names, max_results=0)
    check("search too many", names, max_results=50001)
    page = client.search_experiments(max_results=2, order_by=["name"])
    report.add("page 1", [each.name for each in page])
    report.add("more", bool(page.token))
    page = client.search_experiments(max_results=2, order_by=["name"], page_token=page.token)
    report.add("page 2", [each.name for each in page])
    check("bad token", names, page_token="nonsense")


def search(report):
    """`search_runs`, as a data frame and by pages."""
    client = MlflowClient()
    one = report.name(client.create_experiment("search 1"), "experiment search 1")
    two = report.name(client.create_experiment("search 2"), "experiment search 2")
    for number in range(8):
        run = client.create_run(one if number < 6 else two, start_time=1000 + number)
        run_id = report.name(run.info.run_id, "run {}".format(number))
        client.set_tag(run_id, "mlflow.runName", "run-{}".format(number))
        client.log_param(run_id, "alpha", str(number / 10))
        client.log_param(run_id, "kind", "even" if number % 2 == 0 else "Odd")
        if number != 3:
            client.log_metric(run_id, "rmse", float("nan") if number == 5 else 1 / (1 + number), 1, 0)
        client.log_metric(run_id, "val loss/x.y", number, 1, 0)
        client.set_tag(run_id, "stage", "s{}".format(number % 3))
        if number % 2:
            client.set_terminated(run_id, "FAILED" if number == 1 else "FINISHED", 2000 + number)
    both = [one, two]

    def names(filter_string="", **options):
        experiments = options.pop("experiments", both)
        found = client.search_runs(experiments, filter_string, **options)
        return [run.data.tags["mlflow.runName"] for run in found]

    by_name = ["tags.mlflow.runName"]
    filters = [
        "metrics.rmse < 0.3",
        "metrics.rmse >= 0.5",
        "metrics.rmse != 0.5",
        "metrics.rmse = 1",
        "metrics.`val loss/x.y` > 5",
        'metrics."val loss/x.y" <= 1',
        "params.alpha = '0.5'",
        "params.alpha != '0.5'",
        "params.kind = 'odd'",
        "params.kind LIKE '%dd'",
        "params.kind ILIKE 'o%'",
        "params.kind LIKE 'o%'",
        "tags.stage = 's1' and metrics.rmse < 0.4",
        "tags.stage != 's1' AND params.kind = 'even'",
        "tag.stage LIKE 's_'",
        'parameter.alpha = "0.1"',
        "attributes.status = 'FAILED'",
        "status = 'RUNNING'",
        "attributes.status != 'RUNNING'",
        "attribute.start_time > 1004",
        "start_time <= 1001",
        "attributes.end_time >= 2003",
        "attributes.artifact_uri LIKE '%nothing%'",
        "tags.mlflow.runName = 'run-2'",
        "tags.`mlflow.runName` LIKE 'run-%' and status = 'FINISHED'",
        "metrics.nothing > 0",
        "params.nothing = 'x'",
        "params.nothing != 'x'",
        "tags.nothing != 'x'",
        # not to be understood
        "metrics.rmse < 'a'",
        "params.alpha = 0.5",
        "params.alpha > '0.5'",
        "metrics.rmse LIKE '%'",
        "rmse < 1",
        "nothing.x = 'a'",
        "metrics.rmse",
        "metrics.rmse <",
        "params.alpha = '0.5",
        "metrics.rmse < 1 or metrics.rmse > 2",
        "attributes.nothing = 'x'",
        "attributes.start_time = 'x'",
        "metrics.rmse < 1 and",
        "'0.5' = params.alpha",
        "params.alpha = 0,5",
        ";",
        "params. = 'x'",
    ]
    if VERSION >= (2, 0):
        filters += [
            "run_name = 'run-1'",
            "attributes.run_name LIKE 'run-%' and metrics.rmse < 0.2",
            "`run name` ILIKE 'RUN-7'",
            "params.kind IN ('even')",
            "tags.stage IN ('s0', 's2')",
            "attributes.run_id IN ('{}')".format("0" * 32),
            "attributes.run_id NOT IN ('{}')".format("0" * 32),
            "user_id != 'x'",
            "created > 1005",
            "params.kind IN 'even'",
            "metrics.rmse IN ('1')",
            "attributes.run_id IN ()",
        ]
    if VERSION >= (3, 5):
        filters += [
            "params.kind IS NULL",
            "tags.nothing IS NULL",
            "metrics.rmse IS NOT NULL",
            "metrics.rmse IS NULL",
        ]
    for text in filters:
        report.check("filter {}".format(text), names, text, order_by=by_name)
    orders = [
        [],
        ["metrics.rmse"],
        ["metrics.rmse DESC"],
        ["metrics.rmse ASC", "start_time"],
        ["params.alpha DESC"],
        ["attributes.start_time ASC"],
        ["attribute.start_time DESC"],
        ["tags.stage", "params.alpha desc"],
        ["status", "start_time"],
        ["end_time DESC"],
        ["params.nothing"],
        ["metrics.`val loss/x.y` DESC"],
        ['metrics."val loss/x.y"'],
        ["nonsense"],
        ["metrics.rmse UPWARDS"],
        ["metrics."],
        ["rmse.metrics"],
        [""],
    ]
    for order in orders:
        report.check("order {}".format(order), names, order_by=order)
    report.check("one experiment", names, experiments=[two], order_by=by_name)
    report.check("no experiment", names, experiments=[])
    report.check("missing experiment", names, experiments=["123456"])
    report.check("max 0", names, max_results=0)
    report.check("max too big", names, max_results=50001)
    page = client.search_runs(both, "", max_results=3, order_by=["start_time"])
    pages = []
    while True:
        pages.append([run.data.tags["mlflow.runName"] for run in page])
        if not page.token:
            break
        page = client.search_runs(both, "", max_results=3, order_by=["start_time"], page_token=page.token)
    report.add("pages", pages)
    report.check("bad token", names, page_token="nonsense")
    page = client.search_runs([one], "", max_results=6)
    report.add("exactly one page", [len(page), bool(page.token)])
    client.delete_run(client.search_runs([two], "", order_by=["start_time"])[0].info.run_id)
    report.check("active", names, order_by=by_name)
    report.check("deleted", names, run_view_type=ViewType.DELETED_ONLY)
    report.check("all", names, run_view_type=ViewType.ALL, order_by=by_name)
    frame = mlflow.search_runs(both, "metrics.rmse < 2", order_by=["metrics.rmse DESC"])
    report.add("columns", sorted(frame.columns))
    report.add("rmse", [float(value) for value in frame["metrics.rmse"]])
    report.add("alpha", list(frame["params.alpha"]))
    frame = mlflow.search_runs(both, "", order_by=["start_time"])
    report.add(
        "frame",
        [[str(value) for value in row] for row in frame[["status", "params.kind", "tags.stage"]].values],
    )
    report.add("start", [str(value) for value in frame["start_time"]])
    if VERSION >= (1, 28):
        report.add("by names", len(mlflow.search_runs(experiment_names=["search 1", "search 2"])))
        report.add("by missing name", len(mlflow.search_runs(experiment_names=["nothing"])))
    report.add("as list", len(mlflow.search_runs(both, output_format="list", max_results=2)))


def artifacts(report):
    """Files up and down."""
    client = MlflowClient()
    mlflow.set_experiment("files")
    report.name(mlflow.get_experiment_by_name("files").experiment_id, "experiment files")
    folder = Path(tempfile.mkdtemp())
    (folder / "tree" / "deep" / "deeper").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_text("alpha\n")
    (folder / "tree" / "deep" / "b ünï #1 %20+?.txt").write_text("beta ü\n")
    (folder / "tree" / "deep" / "deeper" / "c.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "tree" / "empty").write_bytes(b"")
    with mlflow.start_run(run_name="files") as run:
        run_id = report.name(run.info.run_id, "run files")
        mlflow.log_artifact(str(folder / "tree" / "a.txt"))
        mlflow.log_artifact(str(folder / "tree" / "a.txt"), "some/where")
        mlflow.log_artifacts(str(folder / "tree"), "tree")
        mlflow.log_text("some text\n", "texts/one.txt")
        mlflow.log_dict({"b": [1, 2.5, None], "a": "ü"}, "data.json")
        mlflow.log_dict({"b": 1}, "data.yaml")
        report.check("figure", _log_figure)
        report.check("image", _log_image)
        if hasattr(mlflow, "log_table"):
            mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
            mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
        mlflow.log_text("new text\n", "texts/one.txt")

    def walk(path=None):
        found = []
        for entry in client.list_artifacts(run_id, path):
            found.append(entry)
            if entry.is_dir:
                found += walk(entry.path)
        return found

    listed = walk()
    report.add(
        "tree",
        [
            [e.path, e.is_dir, e.file_size if "png" not in e.path else "png"]
            for e in listed
            if "images/" not in e.path
        ],
    )
    report.check("list file", client.list_artifacts, run_id, "a.txt")
    report.check("list nothing", client.list_artifacts, run_id, "nothing")
    report.check("list up", client.list_artifacts, run_id, "../..")
    report.check("list of no run", client.list_artifacts, "0" * 32)
    target = Path(tempfile.mkdtemp())
    report.check(
        "download file", lambda: Path(client.download_artifacts(run_id, "a.txt", str(target))).read_text()
    )
    tree = Path(client.download_artifacts(run_id, "tree", str(target)))
    report.add("downloaded", sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()))
    report.add("same", (tree / "deep" / "deeper" / "c.bin").read_bytes() == bytes(range(256)) * 5000)
    report.check("text", (tree / "deep" / "b ünï #1 %20+?.txt").read_text)
    report.check(
        "download all",
        lambda: len(list(Path(client.download_artifacts(run_id, "", str(target))).rglob("*.txt"))),
    )
    report.check(
        "download nothing", lambda: client.download_artifacts(run_id, "nothing.txt", str(target)) and None
    )
    report.check("download up", lambda: client.download_artifacts(run_id, "../../x", str(target)) and None)
    report.check("log missing", lambda: client.log_artifact(run_id, str(folder / "missing")))
    if hasattr(mlflow, "artifacts") and hasattr(mlflow.artifacts, "load_text"):
        base = "runs:/{}/".format(run_id)
        report.add("load text", mlflow.artifacts.load_text(base + "texts/one.txt"))
        report.add("load dict", mlflow.artifacts.load_dict(base + "data.json"))
        report.check("load image", lambda: list(mlflow.artifacts.load_image(base + "image.png").size))
        uri = mlflow.get_run(run_id).info.artifact_uri
        report.add(
            "by uri", Path(mlflow.artifacts.download_artifacts(artifact_uri=uri + "/a.txt")).read_text()
        )
    if hasattr(mlflow, "artifacts") and hasattr(mlflow.artifacts, "list_artifacts"):
        report.check(
            "listed by uri",
            lambda: [each.path for each in mlflow.artifacts.list_artifacts("runs:/{}/texts".format(run_id))],
        )
    if hasattr(mlflow, "load_table"):
        report.add("table", mlflow.load_table("table.json", run_ids=[run_id]).values.tolist())
    if VERSION >= (2, 10):
        from mlflow.artifacts import download_artifacts

        report.check(
            "download by run",
            lambda: Path(download_artifacts(run_id=run_id, artifact_path="data.json")).read_text(),
        )
    if VERSION >= (2, 0):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(mlflow.get_run(run_id).info.artifact_uri)
        report.check("delete", repository.delete_artifacts, "tree")
        report.add("after deletion", [each.path for each in client.list_artifacts(run_id)])


def _log_figure():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([0, 1], [2, 3])
    mlflow.log_figure(figure, "figures/plot.png")


def _log_image():
    import numpy

    image = numpy.zeros((10, 20, 3), dtype=numpy.uint8)
    mlflow.log_image(image, "image.png")
    if VERSION >= (2, 11):
        mlflow.log_image(image, key="steps", step=3)


def _data():
    from sklearn.datasets import make_regression

    return make_regression(60, 4, random_state=0)


def models(report):
    """Models of scikit-learn: logged, registered, loaded again."""
    from mlflow.models.signature import infer_signature
    from sklearn.linear_model import Ridge

    client = MlflowClient()
    mlflow.set_experiment("models")
    report.name(mlflow.get_experiment_by_name("models").experiment_id, "experiment models")
    features, target = _data()
    model = Ridge().fit(features, target)
    signature = infer_signature(features, model.predict(features))
    common = {"signature": signature, "input_example": features[:2], "pip_requirements": ["scikit-learn"]}
    if VERSION >= (3, 8):
        common["skops_trusted_types"] = None
    with mlflow.start_run(run_name="trained") as run:
        run_id = report.name(run.info.run_id, "run trained")
        logged = _log_model(model, "model", registered_model_name="ridge", **common)
        report.add("logged", sorted(each.path for each in client.list_artifacts(run_id)))
    with mlflow.start_run(run_name="trained again") as second:
        report.name(second.info.run_id, "run trained again")
        _log_model(model, "model", registered_model_name="ridge", **common)
    expected = [round(float(value), 4) for value in model.predict(features[:3])]

    def predict(uri):
        loaded = mlflow.pyfunc.load_model(uri)
        values = [round(float(value), 4) for value in loaded.predict(features[:3])]
        return {"right": values == expected, "signature": str(loaded.metadata.signature)[:60]}

    report.check("by logged uri", predict, logged.model_uri)
    report.check("by run", predict, "runs:/{}/model".format(run_id))
    report.check("sklearn", lambda: type(mlflow.sklearn.load_model("runs:/{}/model".format(run_id))).__name__)
    report.check("by version", predict, "models:/ridge/1")
    report.check("latest", predict, "models:/ridge/latest")
    client.transition_model_version_stage("ridge", "1", "Staging")
    report.check("by stage", predict, "models:/ridge/Staging")
    report.check("by empty stage", predict, "models:/ridge/Production")
    if hasattr(client, "set_registered_model_alias"):
        client.set_registered_model_alias("ridge", "champion", "2")
        report.check("by alias", predict, "models:/ridge@champion")
        report.check("by missing alias", predict, "models:/ridge@nobody")
    report.check("by missing version", predict, "models:/ridge/7")
    report.check("missing model", predict, "models:/nothing/1")
    report.check("missing run", predict, "runs:/{}/model".format("0" * 32))
    report.check("missing path", predict, "runs:/{}/other".format(run_id))
    report.check("version 1", client.get_model_version, "ridge", "1")
    report.check("registered", client.get_registered_model, "ridge")
    report.check("download uri", client.get_model_version_download_uri, "ridge", "2")
    registered = mlflow.register_model("runs:/{}/model".format(run_id), "again")
    report.add("registered from run", registered)
    report.add("run", client.get_run(run_id))
    if hasattr(client, "copy_model_version"):
        report.check("copied", client.copy_model_version, "models:/ridge/2", "copy")
        report.check("copied again", client.copy_model_version, "models:/ridge/2", "copy")
        report.check("by copy", predict, "models:/copy/1")
        report.check("copy of copy", client.copy_model_version, "models:/copy/1", "third")
        report.check("by copy of copy", predict, "models:/third/1")
    if VERSION >= (2, 0):
        report.check(
            "info",
            lambda: mlflow.models.get_model_info("models:/ridge/1").flavors["python_function"][
                "loader_module"
            ],
        )


def _log_model(model, path, **options):
    if VERSION >= (3, 0):
        options.pop("skops_trusted_types", None)
        return mlflow.sklearn.log_model(model, name=path, serialization_format="cloudpickle", **options)
    return mlflow.sklearn.log_model(model, path, **options)


def autolog(report):
    """scikit-learn's autolog, with a grid search."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    os.environ["MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT"] = "120"
    client = MlflowClient()
    mlflow.set_experiment("autolog")
    experiment = report.name(mlflow.get_experiment_by_name("autolog").experiment_id, "experiment autolog")
    features, target = _data()
    mlflow.sklearn.autolog(log_models=False, silent=True)
    with mlflow.start_run(run_name="fit") as run:
        report.name(run.info.run_id, "run fit")
        Ridge(alpha=0.3).fit(features, target).score(features, target)
    report.add("fit", client.get_run(run.info.run_id))
    Ridge(alpha=0.1).fit(features, target)
    report.add("own run", len(client.search_runs([experiment])))
    mlflow.sklearn.autolog(log_models=True, silent=True, max_tuning_runs=2)
    with mlflow.start_run(run_name="grid") as grid:
        grid_id = report.name(grid.info.run_id, "run grid")
        GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=2).fit(features, target)
    mlflow.sklearn.autolog(disable=True, silent=True)
    shown = _run(client.get_run(grid_id))
    shown["tags"].pop("mlflow.autologging", None)
    shown["metrics"] = sorted(shown["metrics"])
    report.add("grid", shown)
    children = client.search_runs(
        [experiment], "tags.mlflow.parentRunId = '{}'".format(grid_id), order_by=["params.alpha"]
    )
    report.add(
        "children", [[c.data.params.get("alpha"), sorted(c.data.metrics), c.info.status] for c in children]
    )
    report.add("files", sorted(each.path for each in client.list_artifacts(grid_id)))


def registry(report):
    """The model registry by `MlflowClient`."""
    client = MlflowClient()
    check = report.check
    check("create", client.create_registered_model, "reg", {"team": "red"}, "A model.")
    check("duplicate", client.create_registered_model, "reg")
    strict = VERSION >= (2, 0)  # servers before that take all sorts of names and places
    for name in ("", " ", "a/b", "a:b", "ü", "x" * 256, "with space", ".") if strict else ("with space",):
        check("create {!r}".format(name[:20]), client.create_registered_model, name)
    check("get", client.get_registered_model, "reg")
    check("missing", client.get_registered_model, "nothing")
    check("get empty", client.get_registered_model, "")
    check("update", client.update_registered_model, "reg", "Another text.")
    check("update missing", client.update_registered_model, "nothing", "x")
    check("tag", client.set_registered_model_tag, "reg", "owner", "Ada")
    check("tag again", client.set_registered_model_tag, "reg", "owner", "Bob")
    check("tag missing", client.set_registered_model_tag, "nothing", "owner", "Ada")
    check("tag too long", client.set_registered_model_tag, "reg", "k" * 251, "x")
    check("tag long", client.set_registered_model_tag, "reg", "long", "v" * 5000)
    check("tag value too long", client.set_registered_model_tag, "reg", "too long", "v" * 100001)
    check("untag", client.delete_registered_model_tag, "reg", "long")
    check("untag again", client.delete_registered_model_tag, "reg", "long")
    check("untag missing", client.delete_registered_model_tag, "nothing", "long")
    experiment = report.name(client.create_experiment("registry"), "experiment registry")
    run = client.create_run(experiment)
    run_id = report.name(run.info.run_id, "run registry")
    source = run.info.artifact_uri + "/model"
    extra = {"await_creation_for": 0}
    for number in range(1, 5):
        extra.update({"tags": {"n": str(number)}, "description": "number {}".format(number)})
        check("version {}".format(number), client.create_model_version, "reg", source, run_id, **extra)
    check(
        "version without run",
        client.create_model_version,
        "with space",
        "s3://bucket/x",
        await_creation_for=0,
    )
    check(
        "version with link",
        client.create_model_version,
        "with space",
        "s3://bucket/x",
        run_link="http://x/y",
        await_creation_for=0,
    )
    check("version of no model", client.create_model_version, "nothing", source, run_id, await_creation_for=0)
    if strict:
        check("version of no run", client.create_model_version, "reg", source, "0" * 32, await_creation_for=0)
        check("version of a local path", client.create_model_version, "reg", "/etc", await_creation_for=0)
        check(
            "version of a local uri", client.create_model_version, "reg", "file:///etc", await_creation_for=0
        )
        check(
            "version outside its run",
            client.create_model_version,
            "reg",
            "/etc",
            run_id,
            await_creation_for=0,
        )
        check(
            "version with dots", client.create_model_version, "reg", "s3://bucket/../x", await_creation_for=0
        )
        check("version with empty source", client.create_model_version, "reg", "", await_creation_for=0)
    check("get version", client.get_model_version, "reg", "1")
    check("missing version", client.get_model_version, "reg", "99")
    check("strange version", client.get_model_version, "reg", "one")
    check("version 0", client.get_model_version, "reg", "0")
    check("describe", client.update_model_version, "reg", "1", "described")
    check("describe missing", client.update_model_version, "reg", "99", "described")
    check("download uri", client.get_model_version_download_uri, "with space", "1")
    check("download uri missing", client.get_model_version_download_uri, "reg", "99")
    check("stage", client.transition_model_version_stage, "reg", "1", "Staging")
    check("stage lower", client.transition_model_version_stage, "reg", "2", "staging")
    check("stage archive", client.transition_model_version_stage, "reg", "3", "Staging", True)
    check("archived", client.get_model_version, "reg", "1")
    check("stage production", client.transition_model_version_stage, "reg", "2", "Production")
    check("stage none", client.transition_model_version_stage, "reg", "3", "None")
    check("stage unknown", client.transition_model_version_stage, "reg", "3", "Moon")
    check("stage wrong archive", client.transition_model_version_stage, "reg", "3", "None", True)
    check("stage missing", client.transition_model_version_stage, "reg", "99", "Staging")
    latest = lambda *arguments: [[v.version, v.current_stage] for v in client.get_latest_versions(*arguments)]  # noqa: E731
    check("latest", lambda: sorted(latest("reg")))
    check("latest production", latest, "reg", ["Production"])
    check("latest any case", latest, "reg", ["production"])
    check("latest unknown", latest, "reg", ["Moon"])
    check("latest missing", latest, "nothing")
    check("version tag", client.set_model_version_tag, "reg", "1", "checked", "yes")
    check("version tag missing", client.set_model_version_tag, "reg", "99", "checked", "yes")
    check("version tag too long", client.set_model_version_tag, "reg", "1", "k" * 251, "yes")
    check("tagged", client.get_model_version, "reg", "1")
    check("untag version", client.delete_model_version_tag, "reg", "1", "checked")
    check("untag version again", client.delete_model_version_tag, "reg", "1", "checked")
    check("untag version missing", client.delete_model_version_tag, "reg", "99", "checked")
    if VERSION >= (2, 0):
        check("version tag by stage", client.set_model_version_tag, "reg", None, "key", "value", "Production")
    if hasattr(client, "set_registered_model_alias"):
        check("alias", client.set_registered_model_alias, "reg", "champion", "1")
        check("alias moves", client.set_registered_model_alias, "reg", "champion", "2")
        check("alias two", client.set_registered_model_alias, "reg", "Second", "2")
        check("alias missing version", client.set_registered_model_alias, "reg", "x", "99")
        check("alias missing model", client.set_registered_model_alias, "nothing", "x", "1")
        for alias in ("", "v1", "V12", "latest", "Latest", "a b", "a/b", "1", "x" * 256, "a-b_c.d"):
            check("alias {!r}".format(alias[:10]), client.set_registered_model_alias, "reg", alias, "1")
        check("by alias", client.get_model_version_by_alias, "reg", "champion")
        check("by alias in another case", client.get_model_version_by_alias, "reg", "second")
        check("by missing alias", client.get_model_version_by_alias, "reg", "nobody")
        check("by latest", client.get_model_version_by_alias, "reg", "latest")
        check("unalias", client.delete_registered_model_alias, "reg", "a-b_c.d")
        check("unalias again", client.delete_registered_model_alias, "reg", "a-b_c.d")
        check("unalias missing model", client.delete_registered_model_alias, "nothing", "x")
        check("with aliases", client.get_registered_model, "reg")
        check("version with aliases", client.get_model_version, "reg", "2")
    _search_registry(report, client, run_id)
    check("rename", client.rename_registered_model, "reg", "renamed")
    check("rename to itself", client.rename_registered_model, "renamed", "renamed")
    check("rename missing", client.rename_registered_model, "reg", "renamed")
    check("rename to existing", client.rename_registered_model, "renamed", "with space")
    if strict:
        check("rename to bad", client.rename_registered_model, "renamed", "a/b")
    check("old name", client.get_registered_model, "reg")
    check(
        "versions after rename",
        lambda: sorted(str(v.version) for v in client.search_model_versions("name='renamed'")),
    )
    check("renamed", client.get_registered_model, "renamed")
    check("delete version", client.delete_model_version, "renamed", "2")
    check("delete version again", client.delete_model_version, "renamed", "2")
    check("deleted version", client.get_model_version, "renamed", "2")
    check("after version deletion", client.get_registered_model, "renamed")
    check("delete last version", client.delete_model_version, "renamed", "4")
    check(
        "next version",
        lambda: client.create_model_version("renamed", "s3://b/y", await_creation_for=0).version,
    )
    check("delete", client.delete_registered_model, "renamed")
    check("delete again", client.delete_registered_model, "renamed")
    check("deleted", client.get_registered_model, "renamed")
    check("version of deleted", client.get_model_version, "renamed", "1")
    check("create again", client.create_registered_model, "renamed")
    check(
        "first version again",
        lambda: client.create_model_version("renamed", "s3://b/y", await_creation_for=0).version,
    )


def _search_registry(report, client, run_id):
    check = report.check
    for number in range(4):
        client.create_registered_model(
            "Model {}".format(number), tags={"n": str(number), "even": str(number % 2 == 0)}
        )
    names = lambda *arguments, **options: [
        each.name for each in client.search_registered_models(*arguments, **options)
    ]  # noqa: E731
    check("models", names)
    filters = [
        "name = 'Model 1'",
        "name LIKE 'Model%'",
        "name ILIKE 'model%'",
        "name LIKE 'model%'",
        "nothing = 'x'",
        "name > 'a'",
        "name = ''",
    ]
    if VERSION >= (2, 0):
        filters += [
            "name != 'reg'",
            "tags.n = '2'",
            "tag.even = 'True' and name LIKE 'Model%'",
            "tags.n != '2'",
            "tags.n LIKE '%'",
            "tags.nothing = 'x'",
            "tags.n > '1'",
            "attribute.name = 'reg'",
            "name IN ('reg')",
            "name = 'reg' or name = 'x'",
        ]
    for text in filters:
        check("models {}".format(text), names, text)
    if VERSION >= (1, 13):
        for order in (
            ["name DESC"],
            ["name ASC"],
            ["timestamp", "name"],
            ["last_updated_timestamp", "name DESC"],
            ["nothing"],
            ["name UP"],
            ["name", "name DESC"],
        ):
            options = {"order_by": order, "max_results": 3}
            if VERSION >= (2, 0):
                check("models by {}".format(order), names, "name LIKE 'Model%'", **options)
        page = client.search_registered_models("name LIKE 'Model%'", max_results=3)
        report.add("model page 1", [[each.name for each in page], bool(page.token)])
        page = client.search_registered_models("name LIKE 'Model%'", max_results=3, page_token=page.token)
        report.add("model page 2", [[each.name for each in page], bool(page.token)])
        check("models max 0", names, max_results=0)
        check("models max too big", names, max_results=1001)
        check("models bad token", names, page_token="nonsense")
    versions = lambda *arguments, **options: [
        [v.name, str(v.version)] for v in client.search_model_versions(*arguments, **options)
    ]  # noqa: E731
    filters = [
        "name = 'reg'",
        "run_id = '{}'".format(run_id),
        "name = 'nothing'",
        "run_id = ''",
        "source_path = 's3://bucket/x'",
        "nothing = 'x'",
    ]
    if VERSION >= (2, 0):
        filters += [
            "",
            "name LIKE 'r%'",
            "name ILIKE 'R%'",
            "name != 'reg'",
            "name = 'reg' and run_id = '{}'".format(run_id),
            "version_number = 2",
            "version_number > 2 and name = 'reg'",
            "version_number < 'x'",
            "tags.n = '3'",
            "tags.n != '3'",
            "tags.key = 'value'",
            "run_id IN ('{}', 'x')".format(run_id),
            "source_path LIKE 's3:%'",
            "name IN ('reg')",
            "run_id LIKE 'x'",
            "tags.n > '3'",
            "tags.n = '1' or tags.n = '2'",
            "creation_timestamp > 0",
        ]
    for text in filters:
        check("versions {}".format(text), lambda: sorted(versions(text)))
    if VERSION >= (2, 0):
        for order in (
            ["version_number"],
            ["version_number DESC"],
            ["name DESC", "version_number ASC"],
            ["creation_timestamp", "name", "version_number"],
            ["nothing"],
            ["name", "name"],
        ):
            check("versions by {}".format(order), versions, "name LIKE '%'", order_by=order)
        page = client.search_model_versions("name = 'reg'", max_results=3, order_by=["version_number"])
        report.add("version page 1", [[v.version for v in page], bool(page.token)])
        page = client.search_model_versions(
            "name = 'reg'", max_results=3, order_by=["version_number"], page_token=page.token
        )
        report.add("version page 2", [[v.version for v in page], bool(page.token)])
        check("versions max 0", versions, max_results=0)
        check("versions max too big", versions, max_results=200001)
        check("versions bad token", versions, page_token="nonsense")
    found = client.search_model_versions("name = 'with space'")
    report.add("found version", min(found, key=lambda version: int(version.version)))


def datasets(report):
    """Inputs of runs, from mlflow 2.4 on."""
    if not hasattr(mlflow, "log_input"):
        return
    import pandas

    client = MlflowClient()
    mlflow.set_experiment("datasets")
    experiment = report.name(mlflow.get_experiment_by_name("datasets").experiment_id, "experiment datasets")
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})
    dataset = mlflow.data.from_pandas(
        frame, source="https://example.org/data.csv", name="letters", targets="y"
    )
    other = mlflow.data.from_pandas(frame[["x"]], name="numbers")
    with mlflow.start_run(run_name="inputs") as run:
        report.name(run.info.run_id, "run inputs")
        mlflow.log_input(dataset, context="training", tags={"fold": "1"})
        mlflow.log_input(dataset, context="training", tags={"fold": "1"})
        mlflow.log_input(other)
    found = client.get_run(run.info.run_id)
    report.add("run", found)
    found = client.search_runs([experiment], "dataset.name = 'letters'")
    report.add("by name", len(found))
    report.check("by context", lambda: len(client.search_runs([experiment], "datasets.context = 'training'")))
    report.check("by digest", lambda: len(client.search_runs([experiment], "dataset.digest = 'nothing'")))
    report.check("by list", lambda: len(client.search_runs([experiment], "dataset.name IN ('letters', 'x')")))
    report.check("by pattern", lambda: len(client.search_runs([experiment], "dataset.name LIKE 'let%'")))
    report.check("by unknown", lambda: len(client.search_runs([experiment], "dataset.colour = 'red'")))
    report.check("inputs of no run", client.log_inputs, "0" * 32, [])


def logged_models(report):
    """The logged models of mlflow 3."""
    if VERSION < (3, 0):
        return
    client = MlflowClient()
    check = report.check
    mlflow.set_experiment("logged")
    experiment = report.name(mlflow.get_experiment_by_name("logged").experiment_id, "experiment logged")
    with mlflow.start_run(run_name="making") as run:
        run_id = report.name(run.info.run_id, "run making")
        first = mlflow.initialize_logged_model(
            name="first", params={"a": 1}, tags={"t": "1"}, model_type="agent"
        )
        report.name(first.model_id, "model first")
    report.add("created", first)
    check("get", client.get_logged_model, first.model_id)
    check("ready", client.finalize_logged_model, first.model_id, "READY")
    check("ready again", client.finalize_logged_model, first.model_id, "FAILED")
    check("tag", client.set_logged_model_tags, first.model_id, {"x": "y", "t": "2"})
    check("untag", client.delete_logged_model_tag, first.model_id, "x")
    check("untag again", client.delete_logged_model_tag, first.model_id, "x")
    check("tagged", client.get_logged_model, first.model_id)
    check("params", mlflow.log_model_params, {"b": 2}, first.model_id)
    check("params conflict", mlflow.log_model_params, {"b": 3}, first.model_id)
    check("with params", client.get_logged_model, first.model_id)
    check(
        "unnamed",
        lambda: report.name(client.create_logged_model(experiment).model_id, "model unnamed") and None,
    )
    check("missing", client.get_logged_model, "m-" + "0" * 32)
    check("finalize missing", client.finalize_logged_model, "m-" + "0" * 32, "READY")
    check("tag missing", client.set_logged_model_tags, "m-" + "0" * 32, {"x": "y"})
    check("in no experiment", client.create_logged_model, "123456")
    for name in ("a/b", "a:b", "", "x" * 600, "a.b", "a'b", "a%b", "with space"):
        check(
            "named {!r}".format(name[:20]),
            lambda name=name: client.create_logged_model(experiment, name).name,
        )
    import pandas

    dataset = mlflow.data.from_pandas(
        pandas.DataFrame({"x": [1.0]}), source="https://example.org/x.csv", name="numbers"
    )
    with mlflow.start_run(run_name="measuring") as measuring:
        report.name(measuring.info.run_id, "run measuring")
        mlflow.log_metric("acc", 0.5, step=1, model_id=first.model_id, dataset=dataset)
        mlflow.log_metric("acc", 0.75, step=2, model_id=first.model_id)
        mlflow.log_metrics({"loss": 0.1}, model_id=first.model_id)
    check("measured", client.get_logged_model, first.model_id)
    check("run measured", client.get_run, measuring.info.run_id)
    for number in range(3):
        model = client.create_logged_model(
            experiment, "many", run_id, params={"n": str(number)}, tags={"n": str(number)}
        )
        report.name(model.model_id, "model many {}".format(number))
        client.log_metric(run_id, "score", number / 10, model_id=model.model_id, timestamp=10 + number)

    def ids(text=None, **options):
        found = client.search_logged_models([experiment], text, **options)
        return [each.model_id for each in found]

    check("search", lambda: len(ids()))
    filters = [
        "name = 'many'",
        "name != 'many'",
        "name LIKE 'fir%'",
        "params.n = '1'",
        "tags.n = '2'",
        "metrics.score > 0.05",
        "metrics.score = 0.2",
        "status = 'READY'",
        "status = 'PENDING'",
        "source_run_id = '{}'".format(run_id),
        "attributes.name IN ('first')",
        "model_type = 'agent'",
        "name = 'many' AND params.n = '0'",
        "creation_timestamp > 0",
        "model_id = 'x'",
        "colour = 'red'",
        "name = 'a' OR name = 'b'",
        "params.n > 1",
        "metrics.score LIKE 'x'",
        "tags.nothing = 'x'",
        "name = 5",
    ]
    for text in filters:
        check(
            "search {}".format(text),
            lambda: sorted(str(report._labels.get(each, each)) for each in ids(text)),
        )
    for order in (
        [{"field_name": "metrics.score", "ascending": False}],
        [{"field_name": "metrics.score"}],
        [{"field_name": "name"}],
        [{"field_name": "nothing"}],
        [{"field_name": "creation_timestamp"}],
        [{"field_name": "params.n", "ascending": False}],
        [{"field_name": "metrics.acc", "dataset_name": "numbers"}],
    ):
        check(
            "search by {}".format(order),
            ids,
            "name = 'many'" if "score" in str(order) else "name = 'first'",
            order_by=order,
        )
    check("search by dataset", lambda: ids("metrics.acc > 0.4", datasets=[{"dataset_name": "numbers"}]))
    check("search by other dataset", lambda: ids("metrics.acc > 0.6", datasets=[{"dataset_name": "numbers"}]))
    page = client.search_logged_models([experiment], "name = 'many'", max_results=2)
    report.add("page 1", [len(page), bool(page.token)])
    page = client.search_logged_models([experiment], "name = 'many'", max_results=2, page_token=page.token)
    report.add("page 2", [len(page), bool(page.token)])
    check(
        "frame",
        lambda: sorted(mlflow.search_logged_models([experiment], filter_string="name = 'many'").columns),
    )
    check("search nowhere", lambda: list(client.search_logged_models([])))
    folder = Path(tempfile.mkdtemp())
    (folder / "weights.txt").write_text("1 2 3\n")
    check("upload", client.log_model_artifact, first.model_id, str(folder / "weights.txt"))
    check("upload tree", client.log_model_artifacts, first.model_id, str(folder))
    check(
        "files",
        lambda: (
            client.list_logged_model_artifacts(first.model_id)
            if hasattr(client, "list_logged_model_artifacts")
            else None
        ),
    )
    uri = "models:/{}".format(first.model_id)
    check("download", lambda: (Path(mlflow.artifacts.download_artifacts(uri)) / "weights.txt").read_text())
    check("register", lambda: client.create_model_version("reg-logged", uri, await_creation_for=0))
    client.create_registered_model("reg-logged")
    check(
        "register model",
        lambda: client.create_model_version("reg-logged", uri, model_id=first.model_id, await_creation_for=0),
    )
    check("register by uri", lambda: client.create_model_version("reg-logged", uri, await_creation_for=0))
    check("outputs", client.get_run, run_id)
    check("delete", client.delete_logged_model, first.model_id)
    check("delete again", client.delete_logged_model, first.model_id)
    check("deleted", client.get_logged_model, first.model_id)
    check("search without deleted", lambda: ids("name = 'first'"))
    check("external", lambda: mlflow.create_external_model(name="external").status)
    check("last", lambda: mlflow.last_logged_model() is not None)


def asynchronous(report):
    """Logging by the client's own threads."""
    if VERSION < (2, 8):
        return
    mlflow.set_experiment("asynchronous")
    report.name(mlflow.get_experiment_by_name("asynchronous").experiment_id, "experiment asynchronous")
    with mlflow.start_run(run_name="later") as run:
        report.name(run.info.run_id, "run later")
        for step in range(50):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.log_params({"a": 1, "b": 2}, synchronous=False)
        mlflow.set_tag("t", "x", synchronous=False) if VERSION >= (2, 9) else mlflow.set_tag("t", "x")
        if hasattr(mlflow, "flush_async_logging"):
            mlflow.flush_async_logging()
    client = MlflowClient()
    for _ in range(100):
        if len(client.get_metric_history(run.info.run_id, "m")) == 50:  # noqa: PLR2004  2.9 cannot be asked to finish
            break
        time.sleep(0.1)
    report.add("run", client.get_run(run.info.run_id))
    report.add("points", len(client.get_metric_history(run.info.run_id, "m")))


def others(report):
    """What clients ask for silently or rarely: an answer, and no failure of the server."""
    client = MlflowClient()
    if hasattr(mlflow, "search_prompts") or hasattr(getattr(mlflow, "genai", None), "search_prompts"):
        report.check("prompts", lambda: list(mlflow.genai.search_prompts()))
        report.check("missing prompt", mlflow.genai.load_prompt, "nothing", allow_missing=True)
    if hasattr(client, "list_webhooks"):
        report.check("webhooks", lambda: list(client.list_webhooks()))
    if hasattr(mlflow, "search_traces"):
        report.check("traces", lambda: len(mlflow.search_traces(["0"], max_results=5)))
    if hasattr(mlflow, "trace"):
        report.check("traced", _traced)
    if hasattr(mlflow, "evaluate") or hasattr(mlflow, "models"):
        report.check("runs of nothing", lambda: len(client.search_runs(["0"])))
    if hasattr(client, "list_experiments"):
        report.check(
            "listed experiments", lambda: "models" in [each.name for each in client.list_experiments()]
        )
    if hasattr(client, "list_registered_models"):
        report.check(
            "listed models", lambda: "ridge" in [each.name for each in client.list_registered_models()]
        )
    if hasattr(client, "list_run_infos"):
        report.check("listed runs", lambda: len(client.list_run_infos("0")))


def _traced():
    @mlflow.trace
    def double(number):
        return 2 * number

    return double(2)


SECTIONS = (
    fluent,
    nested,
    metrics,
    params_and_tags,
    experiments,
    search,
    artifacts,
    registry,
    datasets,
    logged_models,
    asynchronous,
    models,
    autolog,
    others,
)


def main(output, wanted):
    """Run the sections, and write what they found."""
    report = Report()
    for section in SECTIONS:
        if wanted and section.__name__ not in wanted:
            continue
        report.section = section.__name__
        try:
            section(report)
        except Exception as error:  # noqa: BLE001  the other sections are worth having
            report.results[section.__name__ + ".stopped"] = "{}: {}".format(type(error).__name__, error)
            traceback.print_exc()
        while mlflow.active_run() is not None:
            mlflow.end_run()
    text = json.dumps(report.results, indent=1, sort_keys=True, ensure_ascii=False)
    Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
