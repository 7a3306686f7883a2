"""Which of the writes to the same thing came last: one that fails late must not come after a newer one."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

if TYPE_CHECKING:
    from proj.remote.transport import Request

_Content = dict[str, Any]
_Key = tuple[str, str]
"""What is written to, and of which run."""
_STATE = ("status", "end_time")


class Latest:
    """The order in which writes came, by what they replace: tags, the state of a run, files."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._newest: dict[_Key, int] = {}
        self._lock = threading.Lock()

    def arrive(self) -> int:
        """Return the number of a write that comes now."""
        return next(self._numbers)

    def accept(self, request: Request, number: int) -> None:
        """Take note that a write is done, or waits in its place."""
        with self._lock:
            for key in _replaced(request, _content(request)):
                self._newest[key] = max(number, self._newest.get(key, number))

    def left(self, request: Request, number: int) -> Request | None:
        """Return what of a write no newer one has replaced; None: nothing."""
        content = _content(request)
        keys = _replaced(request, content)
        with self._lock:
            gone = {key for key in keys if self._newest.get(key, number) > number}
        if not gone:
            return request
        if gone == keys and not unquote(request.path).endswith("log-batch"):
            return None
        reduced = _without(content, gone)
        return msgspec.structs.replace(request, body=json.dumps(reduced).encode())


def _content(request: Request) -> _Content:
    """The fields of a request that replaces something; empty, where it only adds."""
    body = request.body
    if request.method == "PUT" or not isinstance(body, bytes):
        return {}
    what = unquote(request.path).rpartition("/")[2]
    if what not in ("set-tag", "delete-tag", "update") and not (what == "log-batch" and b'"tags"' in body):
        return {}
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _replaced(request: Request, content: _Content) -> set[_Key]:
    if request.method == "PUT":
        return {("file", unquote(request.path))}
    run_id = str(content.get("run_id") or content.get("run_uuid") or "")
    keys: set[_Key] = set()
    tags = content.get("tags")
    for tag in (content, *(tags if isinstance(tags, list) else ())):
        if isinstance(tag, dict) and "key" in tag:
            keys.add((f"tag {tag['key']}", run_id))
    if any(name in content for name in _STATE):
        keys.add(("state", run_id))
    if "run_name" in content:
        keys.add(("name", run_id))
    return keys


def _without(content: _Content, gone: set[_Key]) -> _Content:
    names = {name for name, _ in gone}
    left = {key: value for key, value in content.items() if not ("state" in names and key in _STATE)}
    if "name" in names:
        left.pop("run_name", None)
    if isinstance(left.get("tags"), list):
        left["tags"] = [tag for tag in left["tags"] if f"tag {tag['key']}" not in names]
    return left
