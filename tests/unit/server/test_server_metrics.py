from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from httpkit import Client


def run_with_history(client: Client, points: int) -> str:
    run_id = str(client.ok("POST", "runs/create")["run"]["info"]["run_id"])
    metrics = [{"key": "m", "value": step / 2, "timestamp": 5, "step": step} for step in range(points)]
    for start in range(0, points, 1000):
        client.ok("POST", "runs/log-batch", run_id=run_id, metrics=metrics[start : start + 1000])
    return run_id


def steps(answer: dict[str, Any]) -> list[int]:
    return [point["step"] for point in answer["metrics"]]


def test_a_history_comes_back_whole(client: Client) -> None:
    run_id = run_with_history(client, 10)
    answer = client.ok("GET", "metrics/get-history", run_id=run_id, metric_key="m")
    assert answer["metrics"][3] == {"key": "m", "value": 1.5, "timestamp": 5, "step": 3}
    assert steps(answer) == list(range(10))
    assert "next_page_token" not in answer


def test_a_history_comes_back_in_pages(client: Client) -> None:
    run_id = run_with_history(client, 10)
    found: list[int] = []
    query: dict[str, object] = {"run_id": run_id, "metric_key": "m", "max_results": 4}
    while True:
        answer = client.ok("GET", "metrics/get-history", **query)
        found += steps(answer)
        if "next_page_token" not in answer:
            break
        query["page_token"] = answer["next_page_token"]
    assert found == list(range(10))


def test_a_metric_that_was_not_logged_has_no_history(client: Client) -> None:
    run_id = run_with_history(client, 1)
    assert client.ok("GET", "metrics/get-history", run_id=run_id, metric_key="x")["metrics"] == []


def test_histories_of_several_runs(client: Client) -> None:
    runs = sorted(run_with_history(client, 2) for _ in range(2))
    answer = client.ok("GET", "metrics/get-history-bulk", run_id=runs, metric_key="m")
    assert [(point["run_id"], point["step"]) for point in answer["metrics"]] == [
        (run_id, step) for run_id in runs for step in range(2)
    ]


def test_a_long_history_is_thinned_out_evenly(client: Client) -> None:
    run_id = run_with_history(client, 6001)
    answer = client.ok(
        "GET", "metrics/get-history-bulk-interval", run_ids=[run_id], metric_key="m", max_results=7
    )
    assert steps(answer) == [0, 1000, 2000, 3000, 4000, 5000, 6000]
    answer = client.ok(
        "GET",
        "metrics/get-history-bulk-interval",
        run_ids=[run_id],
        metric_key="m",
        start_step=5,
        end_step=7,
    )
    assert steps(answer) == [5, 6, 7]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("metrics/get-history", {"metric_key": "m"}),
        ("metrics/get-history", {"run_id": "RUN"}),
        ("metrics/get-history", {"run_id": "RUN", "metric_key": "m", "max_results": 0}),
        ("metrics/get-history", {"run_id": "RUN", "metric_key": "m", "max_results": "many"}),
        ("metrics/get-history", {"run_id": "RUN", "metric_key": "m", "page_token": "x"}),
        ("metrics/get-history-bulk", {"metric_key": "m"}),
        ("metrics/get-history-bulk", {"run_id": ["a"] * 101, "metric_key": "m"}),
        ("metrics/get-history-bulk-interval", {"metric_key": "m"}),
        ("metrics/get-history-bulk-interval", {"run_ids": ["RUN"], "metric_key": "m", "start_step": 1}),
        (
            "metrics/get-history-bulk-interval",
            {"run_ids": ["RUN"], "metric_key": "m", "start_step": 2, "end_step": 1},
        ),
    ],
)
def test_what_mlflow_refuses_is_refused(client: Client, path: str, query: dict[str, object]) -> None:
    run_id = run_with_history(client, 1)
    known = {name: run_id if value == "RUN" else value for name, value in query.items()}
    answer = client.get(path, **known)
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")
