"""Credentials go to the server that they are for, whatever else waits for another."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from faultykit import faulty, reply
from proj import active, events, paths, place, recovery, sync
from proj.errors import StoreError, UsageError
from proj.recording.uploads import Left, mark
from proj.remote.http import HttpTransport, Patience
from proj.remote.journal import Journal
from proj.remote.transport import Request
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OURS = "https://tracking.invalid"
RUN = "a" * 32
TAG = Request(method="POST", path="/api/2.0/mlflow/runs/set-tag", body=b"{}")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no credentials but those of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def choose() -> Iterator[Callable[[str], None]]:
    """Give `--tracking-uri`."""
    with contextlib.ExitStack() as stack:

        def choose(uri: str) -> None:
            stack.callback(place.choose(uri))

        yield choose


def leave_everything_for(url: str) -> None:
    """Have a request, files and a run whose process died wait for a server."""
    home = paths.home()
    journal = Journal(home)
    journal.add(url, RUN, TAG)
    journal.close()
    workspace = home / "workspaces" / RUN
    workspace.mkdir(parents=True)
    mark(workspace, Left(place=url, run_id=RUN, artifact_uri="mlflow-artifacts:/1/a"))
    claim = active.Claim.create(home, url)
    claim.update(run_id=RUN)
    claim.hand_over()


def recover() -> None:
    """Do what every command does first."""
    with open_tracking(paths.home()) as tracking:
        recovery.recover(tracking, paths.home())


@pytest.mark.parametrize(
    "variables",
    [
        {"PROJ_TRACKING_TOKEN": "s3cret"},
        {"MLFLOW_TRACKING_TOKEN": "s3cret"},
        {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "s3cret"},
        {"MLFLOW_TRACKING_CLIENT_CERT_PATH": "/mine.pem"},
    ],
    ids=["token", "mlflow-token", "password", "certificate"],
)
@pytest.mark.parametrize("by_option", [True, False], ids=["option", "variable"])
def test_another_server_is_not_asked_while_credentials_are_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], by_option: bool, choose: Callable[[str], None]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if by_option:
        choose(OURS)
    else:
        monkeypatch.setenv("PROJ_TRACKING_URI", OURS)
    told: list[str] = []
    with faulty(reply()) as server:
        leave_everything_for(server.url)
        with (
            open_tracking(paths.home()) as tracking,
            events.listening(lambda each: told.append(each.message)),
        ):
            recovery.recover(tracking, paths.home())
        done = sync.sync(paths.home())
        assert server.heard == []
    assert [run.waiting for run in done.runs] == [1, 1]
    for said in (*told, *(str(run.problem) for run in done.runs)):
        assert f"PROJ_TRACKING_URI={server.url} proj sync" in said
        assert "s3cret" not in said


@pytest.mark.parametrize("named", [True, False])
def test_a_server_is_greeted_where_it_is_named_or_no_other_is(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "t")
    with faulty(reply()) as server:
        if named:
            monkeypatch.setenv("PROJ_TRACKING_URI", f"{server.url.upper()}/")
        journal = Journal(paths.home())
        journal.add(server.url, RUN, TAG)
        journal.close()
        recover()
    assert [heard.headers["authorization"] for heard in server.heard] == ["Bearer t"]


def test_a_server_that_asks_for_nobody_is_asked_whoever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", "https://ada:s3cret@tracking.invalid")
    with faulty(reply()) as server:
        journal = Journal(paths.home())
        journal.add(server.url, RUN, TAG)
        journal.close()
        recover()
    assert ["authorization" in heard.headers for heard in server.heard] == [False]


def test_the_option_is_known_where_what_waits_is_delivered(
    monkeypatch: pytest.MonkeyPatch, choose: Callable[[str], None]
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", OURS)
    with faulty(reply()) as server:
        choose(server.url.replace("://", "://ada:x@"))
        journal = Journal(paths.home())
        journal.add(server.url, RUN, TAG)
        journal.close()
        recover()
    assert [heard.headers["authorization"] for heard in server.heard] == ["Basic YWRhOng="]


# --- what is shown ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        "user:s3c#ret@host",
        "user:s3c/ret@host",
        "user:s3c?ret@host",
        "user:s3c@host:ret",
        "[s3cret",
        "user:s3cret@",
        "host?password=s3cret",
        "user:s3c\uff0fret@host",
    ],
)
def test_no_message_about_a_url_shows_a_password(rest: str) -> None:
    with pytest.raises(UsageError, match="PROJ_TRACKING_URI is no URL of a server") as caught:
        place.parse(f"https://{rest}", "PROJ_TRACKING_URI")
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3c" not in f"{error!r} {getattr(error, 'hint', '')}"
        assert "ret" not in f"{error}"
        error = error.__cause__


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mysql://ada:s3cret@host/db", "mysql://host/db"),
        ("mysql://host/db?user=ada&password=s3cret", "mysql://host/db"),
        ("mysql://host/db?password=s3c@ret", "mysql://…"),
        ("mysql://ada:s3c?ret@host/db", "mysql://…"),
        ("mysql://ada:s3c#ret@host/db", "mysql://…"),
        ("mysql://ada:s3c/ret@host/db", "mysql://host/db"),
        ("mysql://ada:s3c@ret@host/db", "mysql://host/db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("databricks", "databricks"),
    ],
)
def test_a_foreign_uri_is_shown_without_what_could_be_a_password(uri: str, shown: str) -> None:
    assert place.shown(uri) == shown


# --- how servers are named ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ("{}", ""),
        ("{}/", ""),
        ("{}//", ""),
        (" {} ", ""),
        ("HTTP{}", ""),
        ("{}/mlflow", "/mlflow"),
        ("{}/mlflow/", "/mlflow"),
        ("HTTP{}/A/b%20c/", "/A/b%20c"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_server_is_found_however_its_url_is_written(
    monkeypatch: pytest.MonkeyPatch, form: str, path: str, host: str
) -> None:
    with faulty(reply(), host=host) as server:
        given = server.url.removeprefix("http") if form.startswith("HTTP") else server.url
        monkeypatch.setenv("MLFLOW_TRACKING_URI", form.format(given))
        where = place.current()
        assert (where.uri, where.folder) == (f"{server.url}{path}", None)
        place.check(where)
        with place.open_tracking(where) as tracking:
            assert tracking.uri == where.uri
            assert tracking.runs.experiments() == ()
        assert place.named(tracking.uri) == where
    assert {heard.target.partition("?")[0] for heard in server.heard} == {
        f"{path}/api/2.0/mlflow/experiments/search"
    }
    bracketed = "[::1]" if host == "::1" else host
    assert {heard.headers["host"].rpartition(":")[0] for heard in server.heard} == {bracketed}


def test_a_host_is_the_same_in_upper_case() -> None:
    assert place.parse("HTTPS://Tracking.Example:443/Mlflow/").uri == "https://tracking.example:443/Mlflow"


def test_another_place_that_is_a_folder_needs_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", OURS)
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "t")
    assert place.named(tmp_path.as_uri()).folder == tmp_path
    with pytest.raises(StoreError, match=f"are for {OURS}"):
        place.named("http://tracking.invalid")
    HttpTransport(OURS, patience=Patience()).close()
