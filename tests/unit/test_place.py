from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj import paths, place
from proj.errors import UsageError
from proj.tracking import open_tracking
from records import Command, record_run

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_said_means_the_folder_of_the_records() -> None:
    assert place.current() == place.of_folder(paths.home())
    assert place.foreign() is None


def test_the_option_comes_first_then_our_variable_then_that_of_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROJ_TRACKING_URI", "http://ours:2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:3")
    undo = place.choose("http://chosen:1")
    assert place.current().uri == "http://chosen:1"
    undo()
    assert place.current().uri == "http://ours:2"
    monkeypatch.delenv("PROJ_TRACKING_URI")
    assert place.current().uri == "http://theirs:3"


def test_the_endpoint_of_a_run_around_this_one_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "PROJ_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:4")
    assert place.current().folder == paths.home()
    assert place.foreign() is None


@pytest.mark.parametrize(
    ("uri", "shown", "userinfo"),
    [
        ("http://host:5000/", "http://host:5000", None),
        ("HTTPS://host/below/it/", "https://host/below/it", None),
        ("https://ada:s%40cret@host:1", "https://host:1", "ada:s%40cret"),
        ("http://[::1]:5000", "http://[::1]:5000", None),
    ],
)
def test_the_url_of_a_server_loses_its_credentials(uri: str, shown: str, userinfo: str | None) -> None:
    found = place.parse(uri)
    assert (found.uri, found.userinfo, found.folder) == (shown, userinfo, None)
    assert "cret" not in repr(found)


def test_a_path_and_a_file_uri_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = place.of_folder(tmp_path / "b c")
    assert place.parse("b c") == expected
    assert place.parse(str(tmp_path / "b c")) == expected
    assert place.parse((tmp_path / "b c").as_uri()) == expected
    assert expected.uri.endswith("/b%20c")


@pytest.mark.parametrize("uri", ["sqlite:///a.db", "ftp://host", "http://", "http://h:x", "http://h?a=b"])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="PROJ_TRACKING_URI"):
        place.parse(uri, "PROJ_TRACKING_URI")


@pytest.mark.parametrize("address", ["127.0.0.1:7102", "localhost:7102", "runs.example.org:5000/below"])
def test_an_address_without_its_scheme_is_asked_about(address: str) -> None:
    with pytest.raises(UsageError, match="is no URL of a server") as caught:
        place.parse(address)
    assert caught.value.hint == f"Did you mean http://{address}?"


@pytest.mark.parametrize("word", ["databricks", "databricks-uc", "uc"])
def test_words_of_the_client_are_no_folders(word: str) -> None:
    with pytest.raises(UsageError, match=f"PROJ_TRACKING_URI is {word}, which proj keeps no records in"):
        place.parse(word, "PROJ_TRACKING_URI")


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "MLproject").touch()
    with pytest.raises(UsageError, match="which is no folder"):
        place.parse(str(tmp_path / "MLproject"))


def test_an_empty_option_is_not_taken_for_no_option() -> None:
    with pytest.raises(UsageError, match="--tracking-uri is empty"):
        place.choose("")


def test_a_folder_in_the_format_of_mlflow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    with pytest.raises(UsageError, match="MLflow's own format") as caught:
        place.parse(str(tmp_path / "mlruns"))
    assert f"proj import mlflow:{tmp_path / 'mlruns'}" in str(caught.value.hint)
    (tmp_path / "mlruns" / "proj.db").touch()
    assert place.parse(str(tmp_path / "mlruns")).folder == tmp_path / "mlruns"


@pytest.mark.parametrize("uri", ["sqlite:///a.db", "databricks", "databricks://profile", "postgresql://h/d"])
def test_what_only_the_client_can_use_is_left_to_it(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert place.foreign() == uri
    assert place.current().folder == paths.home()


def test_a_folder_of_mlflows_is_left_to_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tmp_path.as_uri())
    assert place.foreign() == tmp_path.as_uri()
    assert place.current().folder == paths.home()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "0" / "new"))
    assert place.foreign() is None
    assert place.current().folder == tmp_path / "0" / "new"


@pytest.mark.parametrize("before", [True, False])
def test_the_option_stands_before_or_after_a_command(
    before: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run("here")
    with open_tracking(tmp_path / "elsewhere") as elsewhere:
        elsewhere.runs.create_experiment("empty")
    given = ("--tracking-uri", str(tmp_path / "elsewhere"))
    command = Command(capsys)
    argv = (*given, "runs", "--json") if before else ("runs", *given, "--json")
    assert command(*argv).data["runs"] == []
    assert [run["run_name"] for run in command("runs", "--json").data["runs"]] == ["here"]


# --- what a run within a run finds --------------------------------------------------------------------


def test_a_run_within_finds_the_folder() -> None:
    here = place.current()
    assert place.inherited(here) == {"PROJ_TRACKING_URI": here.uri}


def test_credentials_get_names_that_are_not_sent_to_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t")
    expected = {"PROJ_TRACKING_URI": "http://h", "PROJ_TRACKING_TOKEN": "t"}
    assert place.inherited(place.parse("http://h")) == expected
    # A run within a run within a run: what the client's variables hold then is the endpoint's.
    for name in ("MLFLOW_TRACKING_URI", "PROJ_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:4")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-the-endpoint")
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "t")
    assert place.inherited(place.parse("http://h")) == expected


def test_what_stands_in_a_url_is_passed_on_only_if_a_variable_held_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "http://ada:s%40cret@h"
    assert place.inherited(place.parse(url)) == {"PROJ_TRACKING_URI": "http://h"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    assert place.inherited(place.current()) == {
        "PROJ_TRACKING_URI": "http://h",
        "PROJ_TRACKING_USERNAME": "ada",
        "PROJ_TRACKING_PASSWORD": "s@cret",
    }
    assert place.current().url == url
