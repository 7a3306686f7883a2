"""What a program on a cluster is told of the tracking server, where it cannot get back to this machine."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

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
    if is_loopback(uri):
        events.warning(
            f"The program's metrics and artifacts are not recorded: pods do not reach {uri}. {_WAY_OUT}"
        )
        return {}
    return {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_RUN_ID": run_id,
        "MLFLOW_EXPERIMENT_ID": experiment_id,
        **_credentials(where),
    }


def is_loopback(uri: str) -> bool:
    """Whether a URL names this very machine, whichever that is."""
    host = urlsplit(uri).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _credentials(where: Place) -> dict[str, str]:
    """What the program greets the server with: what we do."""
    if where.userinfo is not None:
        user, _, password = where.userinfo.partition(":")
        return {
            "MLFLOW_TRACKING_USERNAME": unquote(user),
            "MLFLOW_TRACKING_PASSWORD": unquote(password),
        }
    inherited = place.inherited(where)
    found = {f"MLFLOW_TRACKING_{word}": inherited.get(f"PROJ_TRACKING_{word}") for word in _WORDS}
    return {name: value for name, value in found.items() if value}


_WORDS = ("TOKEN", "USERNAME", "PASSWORD")
