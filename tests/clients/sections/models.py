"""Models of scikit-learn."""

from __future__ import annotations

import os

import mlflow
from mlflow.tracking import MlflowClient

from report import VERSION, run_view


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
    shown = run_view(client.get_run(grid_id))
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


def _data():
    from sklearn.datasets import make_regression

    return make_regression(60, 4, random_state=0)
