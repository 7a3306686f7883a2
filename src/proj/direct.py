"""What a program on a cluster is told of the tracking server, where it cannot get back to this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import events, place

if TYPE_CHECKING:
    from proj.place import Place

VARIABLE = "KUBE_MLFLOW_TRACKING_URI"
"""The server's address as pods know it; MLflow's own name for it."""
_WAY_OUT = (
    "Set `endpoint-host` in the backend's settings to an address of this machine that pods reach, or record "
    f"on a server that they reach: --tracking-uri, and {VARIABLE} where they know it by another address."
)


def variables_of(where: Place, run_id: str, experiment_id: str) -> dict[str, str]:
    """Variables for the program; none, and a warning, where it has no way to the records.

    Args:
        where: The place that the run is recorded in.
        run_id: The run.
        experiment_id: Its experiment.
    """
    named = os.environ.get(VARIABLE)
    if where.folder is not None:
        events.warning(
            f"The program's metrics and artifacts are not recorded: pods do not reach {where.folder}. "
            f"{_WAY_OUT}"
        )
        return {}
    uri = named or where.uri
    if place.is_loopback(uri):
        events.warning(
            f"The program's metrics and artifacts are not recorded: pods do not reach {uri}. {_WAY_OUT}"
        )
        return {}
    return {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_RUN_ID": run_id,
        "MLFLOW_EXPERIMENT_ID": experiment_id,
        **place.client_credentials(where),
    }
