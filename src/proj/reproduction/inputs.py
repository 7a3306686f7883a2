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
        places = [Path(chosen).absolute()] if chosen is not None else list(self._places(parameter))
        found = [place for place in places if place.exists()]
        for place in found:
            if self._is_same(parameter, place, recorded):
                given = parameter.given if chosen is None else chosen
                return msgspec.structs.replace(parameter, given=given, value=str(place))
        if found:
            message = (
                f"{found[0]}, the input {parameter.name}, has changed: its hash is not the one recorded."
            )
        elif places:
            message = f"{places[-1]}, the input {parameter.name}, is not there."
        else:
            return parameter
        hint = f"Say where the same content is: --input {parameter.name}=PATH."
        self.problems.append(Problem(item="inputs", message=message, hint=hint))
        return parameter

    def _places(self, parameter: BoundParameter) -> Iterator[Path]:
        """Where it may be: in the code, if it was there, and where it was."""
        if "://" in parameter.given:
            downloaded = self._download(parameter)
            if downloaded is not None:
                yield downloaded
            return
        inside = self._in_checkout(parameter.value)
        if inside is not None:
            yield inside
        yield Path(parameter.value)

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

    def _is_same(self, parameter: BoundParameter, place: Path, recorded: Input | None) -> bool:
        if recorded is None or recorded.digest is None:
            why = recorded.reason if recorded is not None and recorded.reason else "it is not recorded"
            events.warning(f"Whether the input {parameter.name} is the same is not known: {why}.")
            return True
        here = msgspec.structs.replace(parameter, value=str(place))
        (measured,) = inputs.complete(inputs.measure([here])).inputs
        return measured.digest == recorded.digest
