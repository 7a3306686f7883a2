"""Dotenv files: `NAME=value` lines, as `proj --env-file` loads them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from proj.errors import UsageError

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_QUOTE_LENGTH = 2


def parse(text: str, name: str) -> dict[str, str]:
    r"""Read the lines of a dotenv file.

    Blank lines and lines that begin with `#` are passed over; `export` before a name is allowed; a value in
    single quotes is taken as it is, in double quotes `\\n`, `\\"` and `\\\\` are escapes; after an unquoted
    value ` #` begins a comment.

    Raises:
        UsageError: A line is none of these; names file and line.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise UsageError(f"{name}:{number}: not a NAME=value line: {line.strip()[:80]!r}")
        variables[match[1]] = _value(match[2])
    return variables


def _value(written: str) -> str:
    if len(written) >= _QUOTE_LENGTH and written[0] == written[-1] == "'":
        return written[1:-1]
    if len(written) >= _QUOTE_LENGTH and written[0] == written[-1] == '"':
        escapes = {"n": "\n", '"': '"', "\\": "\\"}
        return re.sub(r'\\([n"\\])', lambda match: escapes[match[1]], written[1:-1])
    return re.split(r"\s+#", written, maxsplit=1)[0]


def load(path: str) -> None:
    """Set the variables of a dotenv file in this process, except those that are set already.

    This is the one place that changes `os.environ`: the file stands in for what the caller's shell would
    have exported, before anything has read it.

    Raises:
        UsageError: The file cannot be read or understood.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}") from error
    for name, value in parse(text, path).items():
        os.environ.setdefault(name, value)
