"""The error of this stage: a command that cannot be rendered, shown at its place."""

from __future__ import annotations

from proj.errors import FailureCode, UsageError


class CommandError(UsageError):
    """A command template cannot be rendered with these values; says where and what to write instead."""

    code = FailureCode.PROJECT_INVALID.value


class Problem(Exception):  # noqa: N818  never leaves the package: `locate` makes it a CommandError
    """Something wrong at an offset of the template; the caller knows the template and the file."""

    def __init__(self, message: str, offset: int, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


def line_and_column(template: str, offset: int) -> tuple[int, int]:
    """The place of an offset in a text; both numbers count from 1."""
    start = template.rfind("\n", 0, offset) + 1
    return template.count("\n", 0, start) + 1, offset - start + 1


def locate(problem: Problem, template: str, where: str) -> CommandError:
    """Turn a problem into an error that shows the line with a caret below the place."""
    line, column = line_and_column(template, problem.offset)
    text = template.split("\n")[line - 1].replace("\t", " ")
    first = max(0, column - 1 - 60)  # a window: folded commands are often hundreds of characters long
    shown = text[first : first + 100]
    return CommandError(
        f"{where}: {problem.message} (line {line}, column {column} of the command)\n"
        f"    {shown}\n"
        f"    {' ' * (column - 1 - first)}^",
        hint=problem.hint,
    )
