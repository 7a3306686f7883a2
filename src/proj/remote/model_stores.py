"""The stores of models and datasets on a tracking server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.remote.inputs import RemoteInputStore
from proj.remote.logged_models import RemoteLoggedModelStore
from proj.remote.registry import RemoteModelRegistry
from proj.tracking.model_stores import ModelStores

if TYPE_CHECKING:
    from proj.remote.client import Client


def remote_model_stores(client: Client) -> ModelStores:
    """Return the stores of a server.

    Args:
        client: The server.
    """
    return ModelStores(
        registry=RemoteModelRegistry(client),
        logged_models=RemoteLoggedModelStore(client),
        inputs=RemoteInputStore(client),
    )
