"""What clients ask for silently or rarely."""

from __future__ import annotations

import mlflow
from mlflow.tracking import MlflowClient
from report import VERSION


def others(report):
    """What clients ask for silently or rarely: an answer, and no failure of the server."""
    client = MlflowClient()
    if hasattr(mlflow, "search_prompts") or hasattr(getattr(mlflow, "genai", None), "search_prompts"):
        report.check("prompts", lambda: list(mlflow.genai.search_prompts()))
        report.check("missing prompt", mlflow.genai.load_prompt, "nothing", allow_missing=True)
    if VERSION >= (3, 5):
        _prompts(report)
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


def _prompts(report):
    genai = mlflow.genai
    report.check("prompt", lambda: genai.register_prompt("hello", "Hi {{name}}", tags={"a": "b"}).version)
    report.check("prompt again", lambda: genai.register_prompt("hello", "Hello {{name}}").version)
    report.check("prompt alias", genai.set_prompt_alias, "hello", "prod", 1)
    for name in ("hello/1", "hello@latest", "hello@prod", "hello/7", "hello@nobody"):
        report.check("prompt " + name, lambda name=name: genai.load_prompt("prompts:/" + name).template)
    report.check("prompts found", lambda: [each.name for each in genai.search_prompts("name = 'hello'")])
    report.check(
        "no model", lambda: "hello" in [each.name for each in MlflowClient().search_registered_models()]
    )
    report.check("not a model", MlflowClient().get_registered_model, "hello")


def _traced():
    @mlflow.trace
    def double(number):
        return 2 * number

    return double(2)
