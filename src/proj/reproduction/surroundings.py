"""What a run finds around it: variables that numbers depend on, and the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj import events
from proj.host import chooses_devices, inspect, is_recorded

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from proj.host import Host
    from proj.model import EnvironmentFacts
    from proj.record import CommandRecord

_MATTERS = {
    "machine": "architecture",
    "cpu_model": "processor",
    "cpu_flags": "what the processor can do",
    "libc": "C library",
    "gpus": "GPU",
    "cuda": "CUDA",
}
"""Field of a host -> its name for people."""
_SHORT = 60


def changes(recorded: Host) -> dict[str, str | None]:
    """What to set, and what to remove, so that the variables that numbers depend on are as recorded.

    A record may come from anywhere: other variables that it names are not set. Devices are chosen here.
    """
    wanted = _known(recorded.variables)
    now = _known(os.environ)
    removed: dict[str, str | None] = dict.fromkeys(name for name in now if name not in wanted)
    return removed | {name: value for name, value in wanted.items() if now.get(name) != value}


def _known(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if _is_replayed(name)}


def _is_replayed(name: str) -> bool:
    return is_recorded(name) and not chooses_devices(name)


def tell_of_variables(made: CommandRecord, known: Container[str]) -> None:
    """Say which variables the run had, or its line reads, whose values are in no record.

    Args:
        made: What was started then.
        known: Names of those that are set as they were.
    """
    names = [name for name in sorted({*made.variables, *made.read}) if name not in known]
    unset = [name for name in names if name not in os.environ]
    if unset:
        events.warning(f"Variables that the run had, and whose values are in no record: {', '.join(unset)}.")
    others = [name for name in names if name in made.read and name not in unset]
    if others:
        events.note(f"The command reads {', '.join(others)}: as set here, for no value is in the record.")


def machine_differences(recorded: Host) -> Iterator[str]:
    """Say what is different about this machine, as far as numbers may depend on it."""
    here = inspect()
    for field, name in _MATTERS.items():
        before, now = getattr(recorded, field), getattr(here, field)
        if before != now:
            short = max(len(str(before)), len(str(now))) <= _SHORT
            yield f"{name} ({before or 'none'}, here {now or 'none'})" if short else name


def environment_differences(recorded: EnvironmentFacts, now: EnvironmentFacts) -> Iterator[str]:
    """Say what is different about an environment that no lock describes."""
    if recorded.python_version != now.python_version:
        yield f"Python ({recorded.python_version or 'none'}, here {now.python_version or 'none'})"
    before, here = ({each.name: each.version for each in facts.packages} for facts in (recorded, now))
    differing = [name for name in {*before, *here} if before.get(name) != here.get(name)]
    if differing:
        yield f"{len(differing)} installed package{'s' if len(differing) > 1 else ''}"
