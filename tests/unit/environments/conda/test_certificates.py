"""Channels by TLS, for whose certificate an authority of our own vouches: who is trusted, and who says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conda_kit import ChannelServer
from proj.environments.conda.environment import CondaEnvironment
from proj.errors import EnvironmentFailedError
from tlskit import Authority, make_authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environment_kit import RequestMaker

ENVIRONMENT = CondaEnvironment()
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _untrusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_OFFLINE")  # the channels are on loopback
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def secured(channel: Path, authority: Authority) -> Iterator[ChannelServer]:
    server = ChannelServer(channel, certificate=authority.server)
    yield server
    server.close()


@pytest.fixture
def locked_in(channel: Path, authority: Authority) -> Iterator[ChannelServer]:
    """The same, behind a password."""
    server = ChannelServer(channel, certificate=authority.server, password="ada:s3cret")
    yield server
    server.close()


def condarc(text: str) -> None:
    Path(os.environ["CONDARC"]).write_text(text)


def prepare(folder: Path, url: str, request_for: RequestMaker) -> None:
    (folder / "conda.yaml").write_text(f"channels: ['{url}', nodefaults]\ndependencies: [alpha]\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert prepared.directory is not None
    assert (prepared.directory / "conda-meta").is_dir()


def test_a_certificate_that_nobody_vouches_for(
    tmp_path: Path, secured: ChannelServer, request_for: RequestMaker
) -> None:
    with pytest.raises(EnvironmentFailedError, match="A channel cannot be read") as caught:
        prepare(tmp_path, secured.url, request_for)
    assert "`ssl_verify: /path/ca.pem` in ~/.condarc, or SSL_CERT_FILE" in (caught.value.hint or "")
    assert "127.0.0.1" in (caught.value.hint or "")
    assert not secured.asked


@pytest.mark.parametrize(
    "name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CONDA_SSL_VERIFY"]
)
def test_an_authority_that_a_variable_names(
    tmp_path: Path,
    secured: ChannelServer,
    authority: Authority,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, str(authority.certificate))
    prepare(tmp_path, secured.url, request_for)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_authority_that_condarc_names(
    tmp_path: Path,
    secured: ChannelServer,
    authority: Authority,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("AUTHORITIES", str(authority.certificate.parent))
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hostname")  # what is said for conda alone goes before it
    condarc(f"ssl_verify: $AUTHORITIES/{'ca.pem' if kind == 'file' else 'trusted'}\n")
    prepare(tmp_path, secured.url, request_for)


def test_no_authority_is_asked_for(tmp_path: Path, secured: ChannelServer, request_for: RequestMaker) -> None:
    condarc("ssl_verify: false\n")
    prepare(tmp_path, secured.url, request_for)


@pytest.mark.parametrize("verified", [True, False])
def test_a_channel_with_a_login(
    tmp_path: Path,
    locked_in: ChannelServer,
    authority: Authority,
    request_for: RequestMaker,
    verified: bool,
) -> None:
    condarc(f"ssl_verify: {authority.certificate if verified else 'false'}\n")
    url = locked_in.url.replace("://", "://ada:s3cret@")
    with pytest.raises(EnvironmentFailedError) as caught:
        prepare(tmp_path, url.replace("s3cret", "0ther"), request_for)
    assert "401" in str(caught.value.details)
    assert "0ther" not in f"{caught.value} {caught.value.hint} {caught.value.details}"
    prepare(tmp_path, url, request_for)


def test_an_authority_that_is_not_there(
    tmp_path: Path, secured: ChannelServer, request_for: RequestMaker
) -> None:
    condarc("ssl_verify: /nowhere/ca.pem\n")
    with pytest.raises(
        EnvironmentFailedError, match=r"/nowhere/ca\.pem is not there, from which `ssl_verify`"
    ):
        prepare(tmp_path, secured.url, request_for)
