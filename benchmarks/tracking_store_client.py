"""MLflow's SQL store without server or client; `tracking_store.py` starts this in mlflow's environment.

It reads the name of a query, asks, and prints the seconds and the names of the runs, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from mlflow.entities import ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from tracking_queries import QUERIES

if TYPE_CHECKING:
    from tracking_queries import Query


store = SqlAlchemyStore(sys.argv[1], sys.argv[2])


def page(query: Query, token: str | None) -> Any:
    order = list(query.order_by)
    return store.search_runs(["0"], query.filter, ViewType.ACTIVE_ONLY, 100, order, token)


def main() -> None:
    logging.disable(logging.CRITICAL)
    tokens: dict[str, str | None] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        query = QUERIES[name]
        if name not in tokens:
            tokens[name] = None
            for _ in range(query.page - 1):
                tokens[name] = page(query, tokens[name]).token
        begin = time.perf_counter()
        found = page(query, tokens[name])
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "names": [run.info.run_name for run in found]}), flush=True)


if __name__ == "__main__":
    main()
