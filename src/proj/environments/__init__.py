"""What a command runs in. A new kind is one file and one line here, or a `proj.environments` entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.registry import Registry

if TYPE_CHECKING:
    from proj.environments.base import Environment

ENVIRONMENTS: Registry[Environment] = Registry(
    "environment",
    {
        "system": "proj.environments.system:SystemEnvironment",
        "delegated": "proj.environments.delegated:DelegatedEnvironment",
        "recipe": "proj.environments.recipe:RecipeEnvironment",
        "python": "proj.environments.python:PythonEnvironment",
        "conda": "proj.environments.conda.environment:CondaEnvironment",
        "image": "proj.environments.image:ImageEnvironment",
        "container": "proj.environments.container:ContainerEnvironment",
    },
    group="proj.environments",
)
