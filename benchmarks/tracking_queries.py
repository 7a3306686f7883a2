"""What the search benchmarks ask for; imported with proj's Python and with mlflow's."""

from __future__ import annotations

from typing import NamedTuple


class Query(NamedTuple):
    """Pages of 100 of a search in experiment 0."""

    what: str
    filter: str = ""
    order_by: tuple[str, ...] = ()
    page: int = 1
    """Which page is timed; those before it are asked for once."""


# Not here: all runs ordered by a metric. mlflow's store did not answer within six minutes of processor time,
# proj's needs 0.09 s.
QUERIES = {
    "newest": Query("newest 100"),
    "tenth": Query("newest, page 10", page=10),
    "metric": Query("filter by metric", "metrics.metric3 > 0.9"),
    "param": Query("filter by parameter", "params.param2 = '7'"),
    "param_tenth": Query("filter by parameter, page 10", "params.param2 = '7'", page=10),
    "ordered": Query(
        "filter by parameter, order by metric", "params.param2 = '7'", ("metrics.metric5 DESC",)
    ),
    "ordered_second": Query(
        "filter by parameter, order by metric, page 2", "params.param2 = '7'", ("metrics.metric5 DESC",), 2
    ),
    "both": Query(
        "filter by metric and parameter, order by metric",
        "metrics.metric3 > 0.9 and params.param2 = '7'",
        ("metrics.metric5 DESC",),
    ),
}
