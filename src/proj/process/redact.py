"""Keep secrets out of what is shown or stored."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_USERINFO = r"(?i)(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<userinfo>[^\s/?#'\"<>]*)@"
_BARE_USER = r"(?i)(?:git|hg|svn)"
_TELLING_NAME = r"(?i)password|passwd|secret|token|(?:api|access|private)[-_]?key|credential"
"""What says in a variable's name that its value is secret."""
_MIN_SECRET_LENGTH = 8
"""Shorter values stand in ordinary text by chance."""


def is_secret(name: str, value: str) -> bool:
    """Whether a variable's name, or a password in its URL, says that nobody else is to see its value."""
    return bool(re.search(_TELLING_NAME, name)) or strip_userinfo(value) != value


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace the secrets in a text by `***`.

    These are: `secrets`; the user and password of a URL (`git@` stays); the values of this process's
    variables whose name says that they are secret.

    Args:
        text: What is about to leave the process.
        secrets: Values that must not be seen.
    """
    known = {secret for secret in secrets if secret}
    known.update(
        value
        for name, value in os.environ.items()
        if len(value) >= _MIN_SECRET_LENGTH and re.search(_TELLING_NAME, name) and not value.startswith("/")
    )
    for secret in sorted(known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return _replace_userinfo(text, f"{MASK}@")


def strip_userinfo(text: str) -> str:
    """Remove the user and password of each URL in a text (`git@` stays): the URLs stay valid ones."""
    return _replace_userinfo(text, "")


def _replace_userinfo(text: str, replacement: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        return match[0] if re.fullmatch(_BARE_USER, match["userinfo"]) else match["scheme"] + replacement

    return re.sub(_USERINFO, replaced, text) if "://" in text else text
