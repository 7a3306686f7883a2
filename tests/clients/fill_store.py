"""Fills a new store with all that a stock mlflow client of this age can record. Runs in its interpreter.

    python fill_store.py URI SCRATCH
"""

from __future__ import annotations

import math
import os
import sys

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])


def main(uri, scratch):
    """Record experiments, runs, and whatever models there are."""
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri, uri)
    tags = {"team": "red", "mlflow.note.content": "Größe: ✓"}
    wine = client.create_experiment("wine", tags=tags)
    gone = client.create_experiment("gone")
    parent, child = nested(client, scratch)
    others(client, wine, gone)
    try:
        versions(client, parent)
    except MlflowException as error:
        if VERSION >= (2, 0):
            raise
        print("no registry: {}".format(error))
    if VERSION >= (3, 0):
        logged_models(client, wine, parent, child, scratch)


def nested(client, scratch):
    """Record a run with everything, and one below it."""
    mlflow.set_experiment("wine")
    with mlflow.start_run(run_name="parent") as parent:
        params = {"alpha": 0.5, "multi/part": "a b", "empty": "", "text": "line 1\nline 2", "umlaut": "Äö"}
        mlflow.log_params(params)
        for step in range(4):
            mlflow.log_metric("rmse", 1 / (step + 1), step=step)
        mlflow.log_metric("val/loss", 3.5, step=-1)
        mlflow.log_metrics({"nan": math.nan, "inf": math.inf, "minus inf": -math.inf})
        client.log_metric(parent.info.run_id, "rmse", 9.0, timestamp=5, step=2)
        mlflow.set_tags({"team": "blue", "note": "two\nlines", "multi/tag": "x"})
        path = os.path.join(scratch, "hello.txt")
        with open(path, "w") as file:
            file.write("hello")
        mlflow.log_artifact(path, "out/deep")
        mlflow.log_text("top", "top.txt")
        if VERSION >= (2, 4):
            dataset()
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("fold", 1)
            client.log_batch(
                child.info.run_id,
                [Metric("many", number / 7, 1000 + number, number) for number in range(40)],
                [Param("p{}".format(number), str(number)) for number in range(3)],
                [RunTag("t{}".format(number), str(number)) for number in range(3)],
            )
    return parent.info, child.info


def dataset():
    """Record what the active run was trained on."""
    import mlflow.data
    import numpy as np

    table = mlflow.data.from_numpy(np.array([[1.0, 2.0], [3.0, 4.0]]), source="data.csv", name="grapes")
    mlflow.log_input(table, context="training")


def others(client, wine, gone):
    """Record runs in every state."""
    failed = client.create_run(wine, start_time=1234567890123)
    client.set_terminated(failed.info.run_id, "FAILED", 1234567899999)
    client.create_run(wine)
    deleted = client.create_run(wine)
    client.log_param(deleted.info.run_id, "was", "here")
    client.delete_run(deleted.info.run_id)
    lost = client.create_run(gone)
    client.log_metric(lost.info.run_id, "m", 2.0)
    client.delete_experiment(gone)
    client.create_run("0")


def versions(client, parent):
    """Register models, with a gap in the numbers."""
    client.create_registered_model("grapes", tags={"kind": "wine"}, description="the model")
    client.create_registered_model("empty")
    source = parent.artifact_uri + "/out"
    for number in range(4):
        description = "v{}".format(number + 1)
        client.create_model_version(
            "grapes", source, parent.run_id, tags={"n": str(number)}, description=description
        )
    client.create_model_version("grapes", "s3://bucket/elsewhere")
    client.delete_model_version("grapes", "2")
    client.transition_model_version_stage("grapes", "1", "Production")
    client.transition_model_version_stage("grapes", "3", "Staging")
    if hasattr(client, "set_registered_model_alias"):
        client.set_registered_model_alias("grapes", "champion", "3")


def logged_models(client, wine, parent, child, scratch):
    """Record models in every state."""
    from mlflow.entities import LoggedModelInput, LoggedModelOutput

    net = client.create_logged_model(
        wine,
        name="net",
        source_run_id=parent.run_id,
        params={"depth": "3"},
        tags={"a": "b"},
        model_type="Agent",
    )
    folder = os.path.join(scratch, "model")
    os.makedirs(folder)
    with open(os.path.join(folder, "MLmodel"), "w") as file:
        file.write("flavors: {}\n")
    client.log_model_artifacts(net.model_id, folder)
    client.finalize_logged_model(net.model_id, "READY")
    on = {"model_id": net.model_id, "dataset_name": "grapes", "dataset_digest": "abc"}
    client.log_metric(parent.run_id, "acc", 0.75, **on)  # of such, the file store forgets the step
    client.log_outputs(parent.run_id, [LoggedModelOutput(net.model_id, 3)])
    client.log_inputs(child.run_id, models=[LoggedModelInput(net.model_id)])
    dropped = client.create_logged_model(wine, name="dropped")
    client.delete_logged_model(dropped.model_id)
    client.create_logged_model(wine, name="pending")
    client.create_model_version("grapes", "models:/" + net.model_id, parent.run_id, model_id=net.model_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
