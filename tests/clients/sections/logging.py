"""What may be logged to runs, and what may not."""

from __future__ import annotations

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from report import run_view


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
    report.add("order", sorted(map(report.view, client.get_metric_history(run_id, "order"))))
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
    report.add("big", [report.view(each) for each in client.get_metric_history(run_id, "big")])
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
            **run_view(run),
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
