"""Datasets, and the logged models of mlflow 3."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from report import VERSION


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
            lambda: sorted(str(report.labels.get(each, each)) for each in ids(text)),
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
