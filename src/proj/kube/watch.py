"""What changes in a namespace, as it changes: one connection for each kind of object, and no polling."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from proj.errors import BackendError
from proj.kube.errors import FORBIDDEN, GONE, ApiError, UnreachableClusterError
from proj.kube.objects import Change, Items, Meta, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from proj.kube.client import Client, Stream

    class _WithMeta(Protocol):
        @property
        def metadata(self) -> Meta: ...


T = TypeVar("T", bound="_WithMeta")

_SERVED_S = 120
"""How long the API server answers one request; then it is made again, so that a dead connection shows."""
_SLACK_S = 15.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class Watch(Generic[T]):
    """Tells of each change of the objects that a query selects, from those that are there on.

    After a cut it goes on where it was; where the server has forgotten that (410 Gone), all objects are
    listed anew and the differences told. A change may be told twice, and none is left out but what came and
    went in between.

    Args:
        client: To whom.
        path: Of the objects' list.
        kind: Of an object.
        query: What selects them.
        on_change: Called with `ADDED`, `MODIFIED` or `DELETED` and the object, in the watch's thread.
        on_trouble: Called with what is wrong with the connection, and with None when it is fine again.
        on_forbidden: Called in its place for as long as we were never let watch; None: it is not told apart.
        listed: Whether to begin with a list, where there may be many objects.
        remembers: Whether objects are kept, so that after a gap it is told which ones are gone.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        kind: type[T],
        query: dict[str, str],
        *,
        on_change: Callable[[str, T], None],
        on_trouble: Callable[[BackendError | None], None],
        on_forbidden: Callable[[BackendError], None] | None = None,
        listed: bool = False,
        remembers: bool = True,
    ) -> None:
        self._client = client
        self._path = path
        self._kind = kind
        self._query = query
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._on_forbidden = on_forbidden or on_trouble
        self._version: str | None = None
        self._known: dict[str, T] = {}
        self._remembers = remembers
        self._relist = listed
        self._troubled = False
        self._let = False
        """Whether the server has ever let us watch."""
        self._stream: Stream | None = None
        self._stopped = threading.Event()
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._run,), name="proj-kube-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; from any thread."""
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.abort()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST_PAUSE_S)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            asked_s = time.monotonic()
            try:
                if self._relist:
                    self._list()
                for change in self._changes():
                    pause_s = _FIRST_PAUSE_S
                    self._take(change)
                trouble: BackendError | None = None  # the answer has ended, as each does after a while
            except msgspec.DecodeError as error:  # from a proxy in between, say
                trouble = UnreachableClusterError(f"The cluster's answer makes no sense: {error}.")
            except BackendError as error:  # of the credentials too: a plugin may fail for a moment
                trouble = error
                if isinstance(error, ApiError) and error.status == GONE:
                    self._relist, self._version, trouble = True, None, None
            if self._stopped.is_set():
                return
            if trouble is not None:
                self._troubled = True
                forbidden = isinstance(trouble, ApiError) and trouble.status == FORBIDDEN
                tell = self._on_forbidden if forbidden and not self._let else self._on_trouble
                tell(trouble)
            elif time.monotonic() - asked_s > _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            self._stopped.wait(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _list(self) -> None:
        data = self._client.send("GET", self._path, "list what is there", query=self._query, tries=1)
        found: Items[T] = msgspec.json.decode(data, type=Items[self._kind])  # type: ignore[name-defined]  # a value
        self._fine()
        there = {item.metadata.name: item for item in found.items or ()}
        for name in [name for name in self._known if name not in there]:
            self._on_change("DELETED", self._known.pop(name))
        for name, item in there.items():
            before = self._known.get(name)
            if before is not None and before.metadata.uid != item.metadata.uid:
                self._on_change("DELETED", before)
                before = None
            self._remember(item)
            self._on_change("ADDED" if before is None else "MODIFIED", item)
        self._version, self._relist = found.metadata.resource_version, False

    def _changes(self) -> Iterator[Change]:
        query = {
            **self._query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_SERVED_S),
        }  # fmt: skip
        if self._version is not None:
            query["resourceVersion"] = self._version
        rest = b""
        what = f"watch {self._path.rpartition('/')[2]}"
        with self._client.stream(self._path, what, read_s=_SERVED_S + _SLACK_S, query=query) as stream:
            self._stream = stream
            try:
                if self._stopped.is_set():
                    return
                self._let = True
                self._fine()
                for piece in stream:
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from (msgspec.json.decode(line, type=Change) for line in lines if line)
            finally:
                self._stream = None

    def _take(self, change: Change) -> None:
        if change.type == "ERROR":
            said = msgspec.json.decode(change.object, type=Status)
            raise ApiError("watch", status=said.code, reason=said.reason, said=said.message)
        if change.type == "BOOKMARK":
            self._version = msgspec.json.decode(change.object, type=_Bare).metadata.resource_version
            return
        item: T = msgspec.json.decode(change.object, type=self._kind)
        self._version = item.metadata.resource_version
        if change.type == "DELETED":
            self._known.pop(item.metadata.name, None)
        else:
            self._remember(item)
        if not self._stopped.is_set():
            self._on_change(change.type, item)

    def _remember(self, item: T) -> None:
        if self._remembers:
            self._known[item.metadata.name] = item

    def _fine(self) -> None:
        if self._troubled:
            self._troubled = False
            self._on_trouble(None)


class _Bare(msgspec.Struct, frozen=True):
    metadata: Meta


@contextlib.contextmanager
def watching(watch: Watch[T]) -> Iterator[None]:
    """Watch for as long as the block lasts."""
    watch.start()
    try:
        yield
    finally:
        watch.stop()
