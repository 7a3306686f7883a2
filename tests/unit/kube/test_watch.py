from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from fakeapi import Asked, FakeApi, pod
from proj.kube.client import Client
from proj.kube.hub import Hub
from proj.kube.kubeconfig import Cluster, Connection, ExecPlugin, User
from proj.kube.logs import LogFollower
from proj.kube.objects import Event, Pod
from proj.kube.watch import Watch, watching
from projkit import LIMIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proj.errors import BackendError

PATH = "/api/v1/namespaces/ns/pods"


class Seen:
    """What a watch told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str]] = []
        self.troubles: list[str | None] = []

    def change(self, kind: str, item: Pod) -> None:
        self.changes.append((kind, item.metadata.name, item.metadata.resource_version))

    def trouble(self, error: BackendError | None) -> None:
        self.troubles.append(None if error is None else error.message)


def watch(api: FakeApi, seen: Seen, *, listed: bool = False) -> Watch[Pod]:
    client = Client(Connection(cluster=Cluster(server=api.url), user=User()))
    return Watch(
        client,
        PATH,
        Pod,
        {"labelSelector": "a=b"},
        on_change=seen.change,
        on_trouble=seen.trouble,
        listed=listed,
    )


def test_changes_come_as_they_are_told(serve: Callable[..., FakeApi]) -> None:
    gate = threading.Event()

    def respond(asked: Asked) -> None:
        asked.begin()
        asked.change("ADDED", pod("a", 1))
        text = b'{"type": "MODIFIED", "object": {"metadata": {"name": "a", "resourceVersion": "2"}}}\n'
        asked.piece(text[:20])  # in two pieces
        asked.piece(text[20:])
        gate.wait(LIMIT_S)

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: len(seen.changes) == 2)
        assert seen.changes == [("ADDED", "a", "1"), ("MODIFIED", "a", "2")]
        assert api.asked[0].query["labelSelector"] == "a=b"
        assert "resourceVersion" not in api.asked[0].query
    gate.set()


def test_after_a_cut_it_goes_on_where_it_was(serve: Callable[..., FakeApi]) -> None:
    gate = threading.Event()

    def respond(asked: Asked) -> None:
        asked.begin()
        if len(api.asked) == 1:
            asked.change("ADDED", pod("a", 5))
            asked.change("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
            asked.cut()
        else:
            asked.change("MODIFIED", pod("a", 10))
            gate.wait(LIMIT_S)

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: len(seen.changes) == 2)
        assert api.asked[1].query["resourceVersion"] == "9"
        assert seen.changes == [("ADDED", "a", "5"), ("MODIFIED", "a", "10")]
        assert len(seen.troubles) == 2
        assert seen.troubles[1] is None
    gate.set()


@pytest.mark.parametrize("by_status", [True, False])
def test_what_the_server_has_forgotten_is_listed_anew(
    serve: Callable[..., FakeApi], *, by_status: bool
) -> None:
    """410 comes as an answer's status, or as a line of the watch."""
    gate = threading.Event()
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}

    def respond(asked: Asked) -> None:
        if "watch" not in asked.query:
            there = [pod("a", 20), pod("c", 22), pod("d", 23, uid="another")]
            asked.answer({"metadata": {"resourceVersion": "30"}, "items": there})
            return
        version = asked.query.get("resourceVersion")
        if version == "5" and by_status:
            asked.answer(gone, 410)
            return
        asked.begin()
        if version is None:
            for name in "abd":
                asked.change("ADDED", pod(name, 5))
            asked.end()
        elif version == "5":
            asked.change("ERROR", gone)
            asked.end()
        else:
            assert version == "30"
            gate.wait(LIMIT_S)

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: len(seen.changes) >= 8)
        assert seen.changes[3:] == [
            ("DELETED", "b", "5"), ("MODIFIED", "a", "20"), ("ADDED", "c", "22"), ("DELETED", "d", "5"),
            ("ADDED", "d", "23"),
        ]  # fmt: skip
        eventually(lambda: api.asked[-1].query.get("resourceVersion") == "30")
    gate.set()


def test_a_server_that_is_away_is_tried_again(serve: Callable[..., FakeApi]) -> None:
    gate = threading.Event()

    def respond(asked: Asked) -> None:
        if len(api.asked) < 3:
            asked.answer({"message": "etcd is away", "code": 500}, 500)
            return
        asked.begin()
        asked.change("ADDED", pod("a", 1))
        gate.wait(LIMIT_S)

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: bool(seen.changes))
        assert "etcd is away" in (seen.troubles[0] or "")
        assert seen.troubles[-1] is None
    gate.set()


def test_an_answer_that_is_no_json_is_no_end(serve: Callable[..., FakeApi]) -> None:
    gate = threading.Event()

    def respond(asked: Asked) -> None:
        asked.begin()
        if len(api.asked) == 1:
            asked.piece(b"<html>a proxy</html>\n")
            asked.end()
            return
        asked.change("ADDED", pod("a", 1))
        gate.wait(LIMIT_S)

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: bool(seen.changes))
    gate.set()


def test_stopping_waits_for_nothing(serve: Callable[..., FakeApi]) -> None:
    gate = threading.Event()

    def respond(asked: Asked) -> None:
        asked.begin()
        asked.change("ADDED", pod("a", 1))
        gate.wait(LIMIT_S)

    seen = Seen()
    found = watch(serve(respond), seen)
    found.start()
    eventually(lambda: bool(seen.changes))
    found.stop()
    assert not found._thread.is_alive()
    gate.set()


PLUGIN = """\
#!/bin/sh
[ ! -e "$(dirname "$0")/fails" ] || exit 1
echo '{"kind": "ExecCredential", "status": {"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"}}'
"""


def test_credentials_that_fail_for_a_moment_are_no_end(serve: Callable[..., FakeApi], tmp_path: Path) -> None:
    """Neither of the watch nor of a log."""
    gate = threading.Event()
    fails = tmp_path / "fails"
    (tmp_path / "plugin").write_text(PLUGIN)
    (tmp_path / "plugin").chmod(0o755)

    def respond(asked: Asked) -> None:
        asked.begin()
        first = [each.path for each in api.asked].count(asked.path) == 1
        if asked.path.endswith("/log"):
            second = 1 if first else 2
            asked.piece(f"2026-11-30T04:24:3{second}.000000000Z {second}\n".encode())
        else:
            asked.change("ADDED" if first else "MODIFIED", pod("a", 1 if first else 2))
        if first:
            while not fails.exists():
                gate.wait(0.01)
            asked.cut()
            return
        gate.wait(LIMIT_S)

    seen, out, told = Seen(), list[bytes](), list[str]()
    api = serve(respond)
    user = User(exec=ExecPlugin(command=str(tmp_path / "plugin")))
    client = Client(Connection(cluster=Cluster(server=api.url), user=user))
    log = LogFollower(
        client, f"{PATH}/a", "main", sink=out.append, on_end=lambda: None,
        on_trouble=lambda error: told.append(error.message),
    )  # fmt: skip
    log.start()
    with watching(Watch(client, PATH, Pod, {}, on_change=seen.change, on_trouble=seen.trouble)):
        eventually(lambda: bool(seen.changes and out))
        fails.touch()
        eventually(lambda: any("plugin" in (each or "") for each in seen.troubles))
        eventually(lambda: any("plugin" in each for each in told))
        fails.unlink()
        eventually(lambda: len(seen.changes) == 2 and b"".join(out) == b"1\n2\n")
        assert seen.troubles[-1] is None
    log.stop()
    gate.set()


def test_an_answer_that_ends_at_once_is_asked_for_with_pauses(serve: Callable[..., FakeApi]) -> None:
    def respond(asked: Asked) -> None:
        asked.begin()
        asked.end()

    seen = Seen()
    api = serve(respond)
    with watching(watch(api, seen)):
        eventually(lambda: len(api.asked) > 2)
        threading.Event().wait(1)
        assert len(api.asked) < 8
        assert not seen.troubles


def test_a_server_that_forgets_at_once_is_asked_with_pauses(serve: Callable[..., FakeApi]) -> None:
    seen = Seen()
    api = serve(lambda asked: asked.answer({"code": 410, "reason": "Expired"}, 410))
    with watching(watch(api, seen)):
        threading.Event().wait(1)
        assert len(api.asked) < 8
        eventually(lambda: len(api.asked) > 1)


def test_of_events_none_is_kept(serve: Callable[..., FakeApi]) -> None:
    """A namespace may have many thousands of them, of which a run is told a few."""
    gate = threading.Event()

    def event(name: str, job: str) -> dict[str, object]:
        return {"metadata": {"name": name, "resourceVersion": "1"}, "involvedObject": {"name": job}}

    def respond(asked: Asked) -> None:
        if "watch" not in asked.query:
            items = [event("a", "ours"), event("b", "other")]
            asked.answer({"metadata": {"resourceVersion": "1"}, "items": items})
            return
        asked.begin()
        if asked.path.endswith("events"):
            asked.change("ADDED", event("c", "ours-abcde"))
            asked.change("ADDED", event("d", "other"))
        gate.wait(LIMIT_S)

    told: list[str] = []

    def receive(_kind: str, _change: str, item: object) -> None:
        assert isinstance(item, Event)
        told.append(item.metadata.name)

    client = Client(Connection(cluster=Cluster(server=serve(respond).url), user=User()))
    hub = Hub(client, "ns", "a=b")
    hub.join("ours", receive)
    hub.want_events("ours")
    eventually(lambda: told == ["a", "c"])
    assert hub._events is not None
    assert not hub._events._known
    hub.leave("ours")
    gate.set()
