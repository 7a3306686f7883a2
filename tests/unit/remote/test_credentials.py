from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from proj.errors import UsageError
from proj.remote.credentials import find_credentials, split_userinfo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user an empty home, and no variables."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"PROJ_TRACKING_{word}", raising=False)
    return tmp_path


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def write_file(home: Path, text: str) -> None:
    (home / ".mlflow").mkdir()
    (home / ".mlflow" / "credentials").write_text(text)


def test_there_may_be_none() -> None:
    found = find_credentials()
    assert (found.authorization, found.verify, found.client_certificate) == (None, True, None)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ({"MLFLOW_TRACKING_TOKEN": " t\n"}, "Bearer t"),
        (
            {
                "MLFLOW_TRACKING_TOKEN": "t",
                "MLFLOW_TRACKING_USERNAME": "ada",
                "MLFLOW_TRACKING_PASSWORD": "pä:ss",
            },
            basic("ada", "pä:ss"),
        ),
        ({"MLFLOW_TRACKING_TOKEN": "t", "MLFLOW_TRACKING_USERNAME": "ada"}, "Bearer t"),
        (
            {"MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_TRACKING_PASSWORD": "b", "PROJ_TRACKING_TOKEN": "p"},
            "Bearer p",
        ),
        (
            {
                "PROJ_TRACKING_USERNAME": "a",
                "PROJ_TRACKING_PASSWORD": "b",
                "PROJ_TRACKING_TOKEN": "p",
                "MLFLOW_TRACKING_TOKEN": "t",
            },
            basic("a", "b"),
        ),
    ],
)
def test_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_credentials().authorization == expected


def test_what_stands_in_the_url_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "t")
    assert find_credentials("ada:p%40ss%3A").authorization == basic("ada", "p@ss:")


def test_mlflows_file_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(home, "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = 100%s\n")
    assert find_credentials().authorization == basic("ada", "100%s")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
    assert find_credentials().authorization == basic("bob", "100%s")


def test_a_file_of_credentials_that_is_none_is_named(home: Path) -> None:
    write_file(home, "secret")
    with pytest.raises(UsageError, match="credentials") as caught:
        find_credentials()
    assert "secret" not in caught.value.message


def test_those_of_the_run_around_us_are_for_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROJ_ENDPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "http://127.0.0.1:1234")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of the endpoint")
    assert find_credentials().authorization is None
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "real")
    assert find_credentials().authorization == "Bearer real"


def test_a_run_within_a_run_finds_those_of_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(home, "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = p\n")
    for name in ("PROJ_ENDPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "http://127.0.0.1:1234")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "of the endpoint")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of the endpoint")
    assert find_credentials().authorization == basic("ada", "p")
    monkeypatch.setenv("PROJ_TRACKING_TOKEN", "real")
    assert find_credentials().authorization == "Bearer real"


@pytest.mark.parametrize("secret", ["sec\nret", "sec\x00ret", "sec\x7fret"])
def test_what_cannot_be_sent_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    if "\x00" not in secret:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", secret)
        with pytest.raises(UsageError, match="MLFLOW_TRACKING_TOKEN") as caught:
            find_credentials()
        assert "sec" not in caught.value.message
    with pytest.raises(UsageError, match="URL") as caught:
        find_credentials(f"ada:{secret}")
    assert "sec" not in caught.value.message


def test_a_token_in_other_letters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "gehé1m")
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        find_credentials()
    assert "geh" not in f"{caught.value.message}{caught.value.__cause__}"


def test_they_are_not_shown() -> None:
    assert "secret" not in f"{find_credentials('ada:secret')} {find_credentials('ada:secret')!r}"


def test_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", "/mine.pem")
    found = find_credentials()
    assert (found.verify, found.client_certificate) == (str(tmp_path), "/mine.pem")
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    with pytest.raises(UsageError, match="contradict"):
        find_credentials()
    monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
    assert find_credentials().verify is False
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "perhaps")
    with pytest.raises(UsageError, match="INSECURE_TLS"):
        find_credentials()
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="not there"):
        find_credentials()


@pytest.mark.parametrize(
    ("url", "plain", "userinfo"),
    [
        ("http://host:5000", "http://host:5000", None),
        ("https://a:b@host/mlflow/", "https://host/mlflow", "a:b"),
        ("http://a%40b@[::1]:80", "http://[::1]:80", "a%40b"),
    ],
)
def test_a_url_is_split(url: str, plain: str, userinfo: str | None) -> None:
    assert split_userinfo(url) == (plain, userinfo)


@pytest.mark.parametrize(
    "url",
    [
        "host:5000",
        "ftp://host",
        "http://",
        "http://a:secret@host:x",
        "http://host?secret=1",
        "http://[secret",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_userinfo(url)
    assert "secret" not in caught.value.message
