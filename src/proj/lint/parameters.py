"""Slips in the parameters of an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import ParameterKind
from proj.projectfile import keys
from proj.projectfile.findings import did_you_mean
from proj.values import problem
from proj.yamltree import is_null

if TYPE_CHECKING:
    from proj.model import EntryPoint, Parameter, Position
    from proj.projectfile.findings import Findings
    from proj.yamltree import Entry


def check_parameters(point: EntryPoint, fields: dict[str, Entry], findings: Findings) -> None:
    """Check the declared parameters of an entry point.

    Args:
        point: The entry point.
        fields: Its keys in the file.
        findings: Where slips go.
    """
    declared = fields.get("parameters")
    if declared is not None and is_null(declared.value):
        findings.warning(
            "empty-parameters",
            f"`parameters` of entry point `{point.name}` is empty, on which mlflow fails",
            declared.key,
            "Remove the line, or write `parameters: {}`.",
        )
    for parameter in point.parameters:
        if parameter.position is not None:
            _check_type(parameter, parameter.position, findings)
            _check_values(parameter, parameter.position, findings)


def _check_type(parameter: Parameter, where: Position, findings: Findings) -> None:
    if parameter.declared_type in keys.TYPES:
        return
    similar = did_you_mean(parameter.declared_type.partition("[")[0], keys.TYPES)
    known = f"Write `{similar}`." if similar else f"Known types are {', '.join(keys.TYPES)}."
    findings.warning(
        "unknown-type",
        f"unknown type `{parameter.declared_type}` of parameter `{parameter.name}` means string",
        where,
        known,
    )


def _check_values(parameter: Parameter, where: Position, findings: Findings) -> None:
    name = parameter.name
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None and low > high:
        findings.warning(
            "empty-range",
            f"no value of parameter `{name}` is between {low:g} and {high:g}",
            where,
            "Swap them.",
        )
    if parameter.kind is ParameterKind.CHOICE and not parameter.choices:
        findings.warning(
            "no-choices", f"parameter `{name}` is a choice without `choices`", where, "Add `choices: [a, b]`."
        )
    if parameter.default is None:
        return
    wrong = problem(parameter, parameter.default)
    if wrong is not None:
        findings.warning(
            "default-does-not-fit",
            f"the default of parameter `{name}` ({parameter.declared_type}) {wrong}",
            where,
            f"Change the default or the type of `{name}`.",
        )
