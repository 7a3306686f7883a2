"""What a program on a cluster is told of the tracking server, where it cannot get back to this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.backends import BACKENDS
from proj.place import client_variables, parse

if TYPE_CHECKING:
    from proj.assignment import Assignment
    from proj.model import Execution
    from proj.place import Place

VARIABLE = "KUBE_MLFLOW_TRACKING_URI"
"""The server's address as pods know it; MLflow's own name for it."""


def told_of_server(execution: Execution, assignment: Assignment) -> Execution:
    """The execution with the tracking server's own address, where the run's endpoint is out of reach."""
    settings = assignment.endpoint
    if settings is None:
        return execution
    if getattr(BACKENDS.load(assignment.backend), "target", "host") == "cluster":
        found = variables_of(assignment.place)
    else:
        found = client_variables(assignment.place)
    if not found:
        return execution
    own = {"MLFLOW_RUN_ID": settings.run_id, "MLFLOW_EXPERIMENT_ID": settings.experiment_id}
    return msgspec.structs.replace(execution, variables={**execution.variables, **found, **own})


def variables_of(where: Place) -> dict[str, str]:
    """Variables for the program; none, and a warning, where it has no way to the records.

    Args:
        where: The place that the run is recorded in.
    """
    named = os.environ.get(VARIABLE)
    there = parse(named, VARIABLE) if named else where
    # What stands before the host is a password, and travels as one.
    sender = where if there.userinfo is None else msgspec.structs.replace(where, userinfo=there.userinfo)
    found = client_variables(sender, there.uri)
    if not found:
        shown = where.folder or there.uri
        events.warning(
            f"The program's metrics and artifacts are not recorded: pods do not reach {shown}. "
            "Set `endpoint-host` in the backend's settings to an address of this machine that pods reach, or "
            f"record on a server that they reach: --tracking-uri, and {VARIABLE} where they know it by "
            "another address."
        )
    return found
