"""Experiments."""

from __future__ import annotations

import mlflow
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from report import VERSION


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
