"""The clusters that this process speaks to: one client each, one session for all of its runs."""

from __future__ import annotations

import os
import threading

from proj.kube.client import Client
from proj.kube.hub import Hub, of_session
from proj.kube.kubeconfig import connection

_lock = threading.Lock()
_clusters: dict[tuple[str | None, str | None, int], Cluster] = {}


class Cluster:
    """A cluster as one of a kubeconfig's contexts names it.

    Args:
        client: To its API server.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.session = os.urandom(8).hex()
        """Label of the Jobs that this process makes."""
        self._hubs: dict[str, Hub] = {}

    def namespace(self, name: str | None) -> str:
        """A namespace that is named, else the context's."""
        return name or self.client.connection.namespace

    def hub(self, namespace: str) -> Hub:
        """What tells of the Jobs of this process in a namespace."""
        with _lock:
            if namespace not in self._hubs:
                self._hubs[namespace] = of_session(self.client, namespace, self.session)
            return self._hubs[namespace]


def open_cluster(context: str | None) -> Cluster:
    """The cluster of a context; None: the current one.

    Raises:
        ConfigError: There is none, or its credentials cannot be used.
    """
    key = (context, os.environ.get("KUBECONFIG"), os.getpid())
    with _lock:
        if key in _clusters:
            return _clusters[key]
    made = Cluster(Client(connection(context)))
    with _lock:
        return _clusters.setdefault(key, made)
