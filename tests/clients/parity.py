"""What a stock mlflow client sees of a tracking server, as one JSON document.

Runs under the client's own interpreter, Python 3.8 and mlflow 1.25 up to the newest, with `MLFLOW_TRACKING_URI`
set and a new and empty server behind it. The document holds no ids, times or places, so that those of two
servers can be compared. What a client does not have is left out.

    python parity.py OUTPUT.json [SECTION ...]
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import mlflow
from urllib3.util.retry import Retry

from report import Report
from sections.artifacts import artifacts
from sections.experiments import experiments
from sections.logged import datasets, logged_models
from sections.logging import metrics, params_and_tags
from sections.models import autolog, models
from sections.others import others
from sections.registry import registry
from sections.runs import asynchronous, fluent, nested
from sections.search import search

# The oldest clients ask five times where a server fails, for a minute, and no variable says otherwise.
Retry.DEFAULT_BACKOFF_MAX = 0

SECTIONS = (
    fluent,
    nested,
    metrics,
    params_and_tags,
    experiments,
    search,
    artifacts,
    registry,
    datasets,
    logged_models,
    asynchronous,
    models,
    autolog,
    others,
)


def main(output, wanted):
    """Run the sections, and write what they found."""
    report = Report()
    for section in SECTIONS:
        if wanted and section.__name__ not in wanted:
            continue
        report.section = section.__name__
        try:
            section(report)
        except Exception as error:  # noqa: BLE001  the other sections are worth having
            report.results[section.__name__ + ".stopped"] = "{}: {}".format(type(error).__name__, error)
            traceback.print_exc()
        while mlflow.active_run() is not None:
            mlflow.end_run()
    text = json.dumps(report.results, indent=1, sort_keys=True, ensure_ascii=False)
    Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
