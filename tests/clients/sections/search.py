"""Searching runs."""

from __future__ import annotations

import mlflow
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from report import VERSION


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
