"""Names and labels that Kubernetes takes."""

from __future__ import annotations

import re
import unicodedata

from proj.errors import UsageError

RUN_LABEL = "proj/run-id"
SESSION_LABEL = "proj/session"
"""Whose process follows: one watch of each kind serves all of its runs."""
CODE_LABEL = "proj/code"
TIMEOUT_ANNOTATION = "proj/timeout"
"""How long the program may take, in seconds, where the Job's deadline follows from that."""
INSTANCE_LABEL = "app.kubernetes.io/instance"
"""The Job's name, on its pods too."""
MANAGED_BY = "app.kubernetes.io/managed-by"
OWN_LABELS = (RUN_LABEL, SESSION_LABEL, INSTANCE_LABEL, MANAGED_BY)
"""Those by which a run's objects are found: nobody else sets them."""

_MOST_NAME = 63
_MOST_SLUG = 40
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")


def slug(text: str, most: int = _MOST_SLUG) -> str:
    """A DNS label (RFC 1123) that resembles a text: lower case letters, digits, hyphens, a letter first."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:most].strip("-")
    if not words:
        return "run"
    return words if words[0].isalpha() else f"run-{words}"[:most].strip("-")


def job_name(project: str, run_id: str, suffix: str = "") -> str:
    """The name of a run's Job; the pods' names get six characters more, and still fit."""
    tail = f"-{run_id[:12].lower()}{suffix}"
    return f"{slug(project, min(_MOST_SLUG, _MOST_NAME - 6 - len(tail)))}{tail}"


def label(text: str) -> str:
    """A label's value that resembles a text."""
    value = re.sub(r"[^A-Za-z0-9_.-]+", "-", unicodedata.normalize("NFKD", text))[:63]
    return value.strip("-_.")


def is_variable(name: str) -> bool:
    """Whether a pod may have a variable of that name."""
    return _VARIABLE.fullmatch(name) is not None


def escaped(text: str) -> str:
    """A text in which Kubernetes replaces nothing: it takes `$(NAME)` for a variable and `$$` for a `$`.

    Raises:
        UsageError: It has bytes that are no UTF-8: the API is JSON.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(
            f"{text[:60]!a} has bytes that are no UTF-8, which Kubernetes cannot hand to a program.",
            hint="Put them into a file of the project.",
        )
    return text.replace("$", "$$")
