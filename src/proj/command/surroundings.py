"""Variables that a shell line names, and that are there when it runs: what the caller gives it unasked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_NAMED = r"\$(?:\{[!#]?)?([A-Za-z_][A-Za-z0-9_]*)"
_OWN = ("PROJ_", "MLFLOW_")
_PLACES = frozenset({"PATH", "PWD", "OLDPWD", "TMPDIR", "SHLVL", "_"})
"""Of each process, or what an environment sets."""


def read_variables(line: str, variables: Mapping[str, str], *, own: Container[str] = ()) -> tuple[str, ...]:
    """Names of those that a line may read, in order; too many rather than too few, since quotes do not count.

    Args:
        line: The shell line.
        variables: The caller's, name -> value.
        own: Names that `proj` sets itself for the command.
    """
    named = set(re.findall(_NAMED, line)) - _PLACES
    return tuple(
        sorted(name for name in named if name in variables and name not in own and not name.startswith(_OWN))
    )
