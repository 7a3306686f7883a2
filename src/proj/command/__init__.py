"""A command template and bound values become a shell line: pure, and safe for every value.

`compiled` is what launchers of images are made from; it is imported by those alone, for every run would pay.
"""

from __future__ import annotations

from proj.command.problem import CommandError
from proj.command.render import (
    Placeholder,
    container_argv,
    nested_warnings,
    placeholders,
    render,
    shell_argv,
    shell_variables,
)
from proj.command.template import Place

__all__ = [
    "CommandError",
    "Place",
    "Placeholder",
    "container_argv",
    "nested_warnings",
    "placeholders",
    "render",
    "shell_argv",
    "shell_variables",
]
