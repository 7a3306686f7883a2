"""Runs: as scripts write them by `mlflow`, and by `MlflowClient`."""

from __future__ import annotations

import time

import mlflow
from mlflow.tracking import MlflowClient

from report import VERSION


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
    for _ in range(300):  # 2.9 cannot be asked to finish
        data = client.get_run(run.info.run_id).data
        points = client.get_metric_history(run.info.run_id, "m")
        if len(points) == 50 and len(data.params) == 2 and "t" in data.tags:
            break
        time.sleep(0.1)
    report.add("run", client.get_run(run.info.run_id))
    report.add("points", len(client.get_metric_history(run.info.run_id, "m")))
