"""Certificates for tests, as openssl makes them: signed by themselves, or by an authority."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251  openssl makes them
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Authority:
    """Who vouches for a server on 127.0.0.1."""

    certificate: Path
    """Its own, to be trusted."""
    folder: Path
    """The same in a folder, under the name by which OpenSSL looks for it."""
    server: Path
    """Certificate and key of the server, in one file."""


def openssl(folder: Path, *words: str) -> str:
    """Run openssl in a folder; returns what it prints. Skips where there is none."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    done = subprocess.run(["openssl", *words], check=True, capture_output=True, text=True, cwd=folder)
    return done.stdout.strip()


def self_signed(folder: Path) -> Path:
    """Make a certificate for localhost and its key, in one file."""
    words = ("-subj", "/CN=localhost", "-addext", _NAMES, "-keyout", "key.pem", "-out", "both.pem")
    openssl(folder, "req", "-x509", *_KEY, "-days", "2", *words)
    return _joined(folder / "both.pem", folder / "key.pem")


def issued(folder: Path) -> Path:
    """Make an authority and what it signed: the folder, in docker's names.

    `ca.pem` and `ca-key.pem`; `server.pem`, for localhost and with its key; a client's `cert.pem` and
    `key.pem`; `other-ca.pem`, which signed none of these.
    """
    for name in ("ca", "other-ca"):
        # Python 3.13 and later want an authority to say that it may sign.
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        words = ("-subj", f"/CN={name}", *usage, "-keyout", f"{name}-key.pem", "-out", f"{name}.pem")
        openssl(folder, "req", "-x509", *_KEY, "-days", "2", *words)
    _sign(folder, f"{_NAMES}\n", certificate="server.pem", key="server-key.pem")
    _joined(folder / "server.pem", folder / "server-key.pem")
    _sign(folder, "extendedKeyUsage=clientAuth\n", certificate="cert.pem", key="key.pem")
    return folder


def make_authority(folder: Path) -> Authority:
    """Make an authority that nobody knows yet, and what it signed."""
    issued(folder)
    trusted = folder / "trusted"
    trusted.mkdir()
    name = openssl(folder, "x509", "-in", "ca.pem", "-noout", "-subject_hash")
    shutil.copy(folder / "ca.pem", trusted / f"{name}.0")
    return Authority(certificate=folder / "ca.pem", folder=trusted, server=folder / "server.pem")


def _sign(folder: Path, extensions: str, *, certificate: str, key: str) -> None:
    (folder / "extensions.txt").write_text(extensions)
    openssl(folder, "req", *_KEY, "-subj", f"/CN={certificate}", "-keyout", key, "-out", "request.pem")
    by = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "extensions.txt")
    openssl(folder, "x509", "-req", "-in", "request.pem", *by, "-days", "2", "-out", certificate)


def _joined(certificate: Path, key: Path) -> Path:
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate
