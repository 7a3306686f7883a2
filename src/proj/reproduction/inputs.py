"""Where the files that a run has read are now, and whether they are still the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events, inputs, source
from proj.errors import ProjError
from proj.model import ParameterKind
from proj.reproduction.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proj.inputs import Input
    from proj.model import BoundParameter, Checkout
    from proj.reproduction.recipe import Recipe


class Locator:
    """Finds the inputs of a run.

    Args:
        recipe: How the run was made.
        checkout: Its code, restored; None where that cannot be had.
        chosen: Parameter -> where the user says that its input is.
        downloads: Folder for inputs that were given as URLs.
        offline: Whether the network may not be used.
    """

    def __init__(
        self,
        recipe: Recipe,
        checkout: Checkout | None,
        *,
        chosen: Mapping[str, str],
        downloads: Callable[[], Path],
        offline: bool,
    ) -> None:
        self.problems: list[Problem] = []
        self._recipe = recipe
        self._checkout = checkout
        self._chosen = chosen
        self._downloads = downloads
        self._offline = offline
        recorded = recipe.inputs.inputs if recipe.inputs is not None else ()
        self._recorded = {each.parameter: each for each in recorded}

    def locate(self, parameters: tuple[BoundParameter, ...]) -> tuple[BoundParameter, ...]:
        """Return the parameters with values that hold here; what cannot be found is a problem."""
        named = {each.name for each in parameters if each.kind is ParameterKind.PATH}
        for name in sorted(set(self._chosen) - named):
            known = ", ".join(sorted(named)) or "none"
            self.problems.append(
                Problem(
                    item="inputs", message=f"{name} is no input of the run.", hint=f"Its inputs: {known}."
                )
            )
        return tuple(self._here(each) for each in parameters)

    def _here(self, parameter: BoundParameter) -> BoundParameter:
        if parameter.kind is ParameterKind.PATH and parameter.value:
            return self._input(parameter)
        if parameter.kind is ParameterKind.URI and parameter.value != parameter.given:
            inside = self._in_checkout(parameter.value)
            return parameter if inside is None else msgspec.structs.replace(parameter, value=str(inside))
        return parameter

    def _input(self, parameter: BoundParameter) -> BoundParameter:
        recorded = self._recorded.get(parameter.name)
        chosen = self._chosen.get(parameter.name)
        if chosen is None and recorded is not None and recorded.kind in ("missing", "other"):
            inside = self._in_checkout(parameter.value)  # such as a file that the command makes
            return msgspec.structs.replace(parameter, value=str(inside or parameter.value))
        known = recorded is not None and recorded.digest is not None
        places = (
            [Path(chosen).absolute()]
            if chosen is not None
            else list(self._places(parameter, in_code_first=known))
        )
        found = [place for place in places if place.exists()]
        wrong: list[str] = []
        for place in found:
            why = self._difference(parameter, place, recorded)
            if why is None:
                given = parameter.given if chosen is None else chosen
                return msgspec.structs.replace(parameter, given=given, value=str(place))
            wrong.append(why)
        if found:
            message = f"{found[0]}, the input {parameter.name}, {wrong[0]}."
        elif places:
            message = f"{places[-1]}, the input {parameter.name}, is not there."
        else:
            return parameter
        self.problems.append(Problem(item="inputs", message=message, hint=_hint(parameter, recorded)))
        return parameter

    def _places(self, parameter: BoundParameter, *, in_code_first: bool) -> Iterator[Path]:
        """Where it may be: in the code, if it was there, and where it was.

        Where no hash tells, what the run has read comes first: the code may hold a part of it.
        """
        if "://" in parameter.given:
            downloaded = self._download(parameter)
            if downloaded is not None:
                yield downloaded
            return
        inside = self._in_checkout(parameter.value)
        if inside is not None and in_code_first:
            yield inside
        yield Path(parameter.value)
        if inside is not None and not in_code_first:
            yield inside

    def _download(self, parameter: BoundParameter) -> Path | None:
        try:
            if self._offline and not parameter.given.startswith("file:"):
                raise ProjError(f"The input {parameter.name} is at {parameter.given}, and this is offline.")  # noqa: TRY301  told with the others
            return source.download(parameter.given, self._downloads())
        except ProjError as error:
            hint = f"Say where the same content is: --input {parameter.name}=PATH."
            self.problems.append(problem_of("inputs", error, hint=hint))
            return None

    def _in_checkout(self, value: str) -> Path | None:
        """The same file in the restored code, if it was in the code."""
        command, code = self._recipe.command, self._recipe.source
        if self._checkout is None or command is None or code is None:
            return None
        top = command.cwd.removesuffix(f"/{code.subdir}") if code.subdir else command.cwd
        if value != top and not value.startswith(f"{top}/"):
            return None
        return self._checkout.root / value[len(top) :].lstrip("/")

    def _difference(self, parameter: BoundParameter, place: Path, recorded: Input | None) -> str | None:
        """What tells that it is not the input of the run; None if nothing does."""
        here = msgspec.structs.replace(parameter, value=str(place))
        measured = inputs.measure([here])
        if recorded is not None and recorded.digest is not None:
            (found,) = inputs.complete(measured).inputs
            return (
                None if found.digest == recorded.digest else "has changed: its hash is not the one recorded"
            )
        why = recorded.reason if recorded is not None and recorded.reason else "it is not recorded"
        (found,) = measured.inputs
        if recorded is not None and recorded.size_bytes is not None:
            if _outline(found) != _outline(recorded):
                return f"has changed: it is {_said(found)}, and was {_said(recorded)}"
            told = f"It is {_said(found)}, as it was; more is not known, since it has no hash: {why}."
        elif parameter.name in self._chosen:
            told = f"Whether it is the same is not known: {why}."
        else:
            return f"cannot be told from another, since it has no hash: {why}"
        events.warning(f"{place}, the input {parameter.name}: {told}")
        return None


def _outline(one: Input) -> tuple[str, int | None, int | None]:
    return one.kind, one.size_bytes, one.files


def _said(one: Input) -> str:
    size = f"of {one.size_bytes:,} bytes" if one.size_bytes is not None else "of unknown size"
    if one.kind == "folder" and one.files is not None:
        return f"a folder of {one.files:,} files, {size}"
    return f"a {one.kind} {size}"


def _hint(parameter: BoundParameter, recorded: Input | None) -> str:
    if recorded is not None and recorded.kind == "folder" and recorded.files == 0:
        return f"It was an empty folder when the run began: --input {parameter.name}=PATH names another one."
    hint = f"Say where the same content is: --input {parameter.name}=PATH"
    if recorded is not None:
        hint += "; if the run wrote there, a copy of what was there before"
    return f"{hint}."
