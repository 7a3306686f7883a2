"""Where a command runs. A new backend is one file and one line here, or an entry point of `proj.backends`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.registry import Registry

if TYPE_CHECKING:
    from proj.backends.base import Backend

BACKENDS: Registry[Backend] = Registry(
    "backend",
    {
        "local": "proj.backends.local:LocalBackend",
        "docker": "proj.backends.docker:DockerBackend",
        "kubernetes": "proj.backends.kubernetes:KubernetesBackend",
    },
    group="proj.backends",
    adapters={"mlflow.project_backend": "proj.backends.mlflow_plugin:PluginBackend"},
)
