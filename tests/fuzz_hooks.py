"""Hooks of schemathesis: half of the random requests name things that are there, so that they get further.

`FUZZ_VALUES` holds JSON: the name of a field -> values that exist.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import schemathesis

VALUES: dict[str, list[Any]] = json.loads(os.environ["FUZZ_VALUES"])


def _known(name: str, value: Any) -> Any:
    """Put something that exists in place of `value`, or leave it; the same for the same input each time."""
    seed = zlib.crc32(repr((name, value)).encode("utf-8", "backslashreplace"))
    candidates = VALUES.get(name)
    if candidates is None or seed % 2:
        return value
    chosen = candidates[seed // 2 % len(candidates)]
    return [chosen] if isinstance(value, list) else chosen


def _filled(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _known(name, _filled(value)) for name, value in content.items()}
    if isinstance(content, list):
        return [_filled(item) for item in content]
    return content


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    return _filled(body)


@schemathesis.hook
def map_query(_context: Any, query: Any) -> Any:
    return _filled(query)


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: Any) -> Any:
    return _filled(path_parameters)
