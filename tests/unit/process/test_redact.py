from __future__ import annotations

import pytest

from proj.process import redact, strip_userinfo


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clone https://me:hunter2@host.org/x.git failed", "clone https://***@host.org/x.git failed"),
        ("https://ghp_token@host/x", "https://***@host/x"),
        ("https://me:p@ss@host/x", "https://***@host/x"),
        ("'ssh://git@host/x'", "'ssh://git@host/x'"),
        ("git@host:team/x.git", "git@host:team/x.git"),
        ("https://host/x?mail=a@b.org", "https://host/x?mail=a@b.org"),
        ("nothing to see", "nothing to see"),
    ],
)
def test_urls_lose_their_credentials(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_urls_without_their_credentials_are_valid() -> None:
    text = "https://u:p@h/s https://token@h/s git+ssh://git@h/r.git https://h/a@b"
    assert redact(text) == "https://***@h/s https://***@h/s git+ssh://git@h/r.git https://h/a@b"
    assert strip_userinfo(text) == "https://h/s https://h/s git+ssh://git@h/r.git https://h/a@b"


def test_given_secrets_are_masked_longest_first() -> None:
    assert redact("abcdef abc", ["abc", "abcdef", ""]) == "*** ***"


def test_values_of_secret_variables_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123456")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-123456")
    monkeypatch.setenv("DB_PASSWORD", "short")
    monkeypatch.setenv("SECRET_FILE", "/run/secrets/file")
    text = "tok-123456 aws-123456 short /run/secrets/file"
    assert redact(text) == "*** *** short /run/secrets/file"
