"""`.dockerignore`, with the meaning that docker gives to it.

The rules are those of https://docs.docker.com/build/concepts/context/#dockerignore-files and of what `docker
build` does by https://github.com/moby/patternmatcher: Go's filepath.Match, `**`, `!`, the last line counts.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from proj.errors import ImageError

NAME: Final = ".dockerignore"


class IgnoreRules:
    """The lines of a `.dockerignore`.

    Args:
        text: Its content.
        where: Whose it is, for messages.

    Raises:
        ImageError: A line is no pattern.
    """

    def __init__(self, text: str, where: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
            pattern = _clean(line)
            if pattern is None:
                continue
            keeps = pattern.startswith("!")
            body = pattern[1:] if keeps else pattern
            if keeps and not body:
                raise ImageError(f"{where}:{number}: nothing stands behind the `!`.")
            try:
                self._rules.append((keeps, re.compile(_translated(body), re.DOTALL)))
            except (re.error, ValueError) as error:
                raise ImageError(f"{where}:{number}: not a pattern: {body!r} ({error}).") from error

    def ignores(self, path: str) -> bool:
        """Whether a file is left out.

        Args:
            path: Relative to the folder of the `.dockerignore`.
        """
        parts = path.split("/")
        names = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for keeps, pattern in self._rules:
            if keeps == ignored and any(pattern.fullmatch(name) for name in names):
                ignored = not keeps
        return ignored


def _clean(line: str) -> str | None:
    """A line as docker reads it; None for one that says nothing."""
    if line.startswith("#"):
        return None
    pattern = line.strip()
    if not pattern:
        return None
    keeps = pattern.startswith("!")
    body = pattern[1:].strip() if keeps else pattern
    if body:
        body = posixpath.normpath(body).replace("//", "/")  # Go's filepath.Clean
        body = body[1:] if len(body) > 1 and body.startswith("/") else body
    # The reader of the file has done with it; the matcher takes blanks away and cleans once more.
    text = (f"!{body}" if keeps else body).strip()
    return posixpath.normpath(text).replace("//", "/") if text else None


def _translated(pattern: str) -> str:
    """A pattern as a regular expression, as moby's patternmatcher makes it."""
    out = ""
    index = 0
    while index < len(pattern):
        character = pattern[index]
        index += 1
        if character == "*":
            if not pattern.startswith("*", index):
                out += "[^/]*"
                continue
            index += 1
            if pattern.startswith("/", index):
                index += 1
            out += ".*" if index == len(pattern) else "(?:.*/)?"
        elif character == "?":
            out += "[^/]"
        elif character == "\\":
            if index == len(pattern):
                raise ValueError("a backslash at its end")
            out += re.escape(pattern[index])
            index += 1
        elif character == "[":
            end = _class_end(pattern, index)
            out += _character_class(pattern[index:end])
            index = end + 1
        else:
            out += re.escape(character)
    return out


def _class_end(pattern: str, index: int) -> int:
    start = index
    while index < len(pattern):
        if pattern[index] == "\\":
            index += 1
        elif pattern[index] == "]" and index > start:
            return index
        index += 1
    raise ValueError("a [ that no ] closes")


def _character_class(body: str) -> str:
    negated = body.startswith("^")
    members = re.sub(r"\\(.)|([\[&~|^])", lambda match: re.escape(match[1] or match[2]), body[negated:])
    return f"[{'^' if negated else ''}{members}]"
