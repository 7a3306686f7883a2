"""`${NAME}` in requirements: its value is for the tools; all that is kept or told has the name."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from proj.process import strip_userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from proj.environments.requirements import Requirements

_VARIABLE = r"\$\{([A-Z0-9_]+)\}"
_URL = r"(?i)\b(?!file:)[a-z][a-z0-9+.-]*://[^\s\"'<>]+"
_TOKEN_LENGTH = 20
"""What stands alone before a host, and is shorter, is the name of a user; tokens of code hosts have more."""
_MIN_LENGTH = 4
"""Shorter values stand in ordinary text by chance."""


def expand_variables(lines: Iterable[str]) -> list[str]:
    """The lines with `${NAME}` replaced from the environment, as pip does; credentials come this way."""
    return [re.sub(_VARIABLE, lambda match: os.environ.get(match[1], match[0]), line) for line in lines]


def literal_logins(line: str) -> Iterator[str]:
    """The URLs of a requirement line that have a password or token itself, not a variable, without it."""
    for url in re.findall(_URL, line) if "@" in line else ():
        plain = _without_login(url)
        if plain != url:
            yield plain


def hosts_of_literal_logins(lock: str) -> tuple[str, ...]:
    """The hosts, as URLs, that a lock of Python packages names with a password or token itself."""
    return tuple(dict.fromkeys("/".join(url.split("/")[:3]) for url in literal_logins(lock)))


def without_literal_logins(lock: str) -> str:
    """A lock whose URLs have no password or token itself; `restore_credentials` undoes it."""
    return re.sub(_URL, lambda match: _without_login(match[0]), lock) if "@" in lock else lock


def _without_login(url: str) -> str:
    plain = strip_userinfo(url)
    scheme, _, rest = plain.partition("://")
    user, colon, password = url[len(scheme) + 3 : len(url) - len(rest) - 1].partition(":")
    is_name = not colon and (scheme.endswith("ssh") or len(user) < _TOKEN_LENGTH)
    return url if "$" in (password or user) or is_name else plain


def warning_of_secret(origin: str, url: str) -> str:
    """What is said of a secret that stands in a file of the project.

    Args:
        origin: The file.
        url: The URL that has it, without it.
    """
    return (
        f"{origin}: the token or password in the URL of {url} is recorded with the source, and gets into "
        "images: write it as ${VAR}, a variable that you set."
    )


def expand_urls(lock: str) -> str:
    """A lock as an installer needs it: with the values of the variables that its URLs name."""
    return re.sub(_URL, lambda match: expand_variables([match[0]])[0], lock)


def expanded_values(requirements: Requirements) -> dict[str, str]:
    """Each value that `expand_variables` puts into these requirements, also percent-encoded -> `${NAME}`."""
    from urllib.parse import quote

    values: dict[str, str] = {}
    for line in (*requirements.options, *requirements.lines, *requirements.constraints):
        for name in re.findall(_VARIABLE, line):
            value = os.environ.get(name)
            if value:
                values |= dict.fromkeys((value, quote(value), quote(value, safe="")), f"${{{name}}}")
    return dict(sorted(values.items(), key=lambda item: len(item[0]), reverse=True))


def hide_in_urls(lock: str, values: Mapping[str, str]) -> str:
    """A lock whose URLs name the variables instead of having their values; `expand_urls` undoes it."""
    return re.sub(_URL, lambda match: _replace(match[0], values), lock) if values else lock


def hide(text: str, values: Mapping[str, str]) -> str:
    """What a tool said, with the names of the variables instead of their values."""
    return _replace(text, {value: name for value, name in values.items() if len(value) >= _MIN_LENGTH})


def hide_in_installed(environment: Path, values: Mapping[str, str]) -> None:
    """Hide the values in what installers write down about a package's origin (PEP 610).

    Raises:
        OSError: It cannot be rewritten.
    """
    import base64
    import hashlib

    for path in environment.glob("lib/python*/site-packages/*.dist-info/direct_url.json") if values else ():
        text = path.read_text(encoding="utf-8")
        hidden = hide_in_urls(text, values).encode()
        if hidden == text.encode():
            continue
        record = path.with_name("RECORD")
        entry = re.escape(f"{path.parent.name}/{path.name}")
        digest = base64.urlsafe_b64encode(hashlib.sha256(hidden).digest()).rstrip(b"=").decode()
        rows = re.sub(
            rf"(?m)^{entry},.*$", f"{path.parent.name}/{path.name},sha256={digest},{len(hidden)}",
            record.read_text(encoding="utf-8"),
        )  # fmt: skip
        for file, content in ((path, hidden), (record, rows.encode())):
            file.unlink()  # it may be a link into the installer's cache
            file.write_bytes(content)


def _replace(text: str, values: Mapping[str, str]) -> str:
    if not values:
        return text
    # In one pass: what stands for one value may have another one in it.
    return re.sub("|".join(map(re.escape, values)), lambda match: values[match[0]], text)
