"""A command template and bound values become a shell line: pure, and safe for every value."""

from __future__ import annotations

from proj.command.compiled import Compiled, End, Here, Piece, Slot, compile_template
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
    "Compiled",
    "End",
    "Here",
    "Piece",
    "Place",
    "Placeholder",
    "Slot",
    "compile_template",
    "container_argv",
    "nested_warnings",
    "placeholders",
    "render",
    "shell_argv",
    "shell_variables",
]
