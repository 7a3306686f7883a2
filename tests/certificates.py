"""Certificates made by openssl: one that vouches for itself, and an authority of our own."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251  openssl makes the certificates
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    """Who vouches for a server on 127.0.0.1."""

    certificate: Path
    """Its own, to be trusted."""
    folder: Path
    """The same in a folder, under the name by which OpenSSL looks for it."""
    server: Path
    """Certificate and key of the server, in one file."""


def self_signed(folder: Path) -> Path:
    """A certificate for localhost and its key, in one file; skips where there is no openssl."""
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    _openssl(folder, "req", "-x509", *_KEY, "-days", "2", *names, "-keyout", "own.key", "-out", "own.crt")
    return _in_one(folder, "own")


def make_authority(folder: Path) -> Authority:
    """Make one that nobody knows yet; skips where there is no openssl."""
    subject = ("-subj", "/CN=Authority of a test", "-addext", "keyUsage=critical,keyCertSign")
    _openssl(folder, "req", "-x509", *_KEY, "-days", "2", *subject, "-keyout", "ca.key", "-out", "ca.pem")
    asked = ("-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    _openssl(folder, "req", "-new", *_KEY, *asked)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signed_by, "-out", "server.crt")
    trusted = folder / "trusted"
    trusted.mkdir()
    name = _openssl(folder, "x509", "-in", "ca.pem", "-noout", "-subject_hash")
    shutil.copy(folder / "ca.pem", trusted / f"{name}.0")
    return Authority(certificate=folder / "ca.pem", folder=trusted, server=_in_one(folder, "server"))


def _openssl(folder: Path, *argv: str) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    done = subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _in_one(folder: Path, name: str) -> Path:
    """Certificate and key in one file."""
    path = folder / f"{name}.pem"
    path.write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())
    return path
