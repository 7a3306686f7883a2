"""A certificate authority of our own, made by openssl."""

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


def make_authority(folder: Path) -> Authority:
    """Make one that nobody knows yet; skips where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")

    def openssl(*argv: str) -> str:
        done = subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    usage = "keyUsage=critical,keyCertSign"
    openssl("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=Authority of a test", "-addext", usage,
            "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    openssl("req", "-new", *_KEY, "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.crt")  # fmt: skip
    server = folder / "server.pem"
    server.write_text((folder / "server.crt").read_text() + (folder / "server.key").read_text())
    trusted = folder / "trusted"
    trusted.mkdir()
    name = openssl("x509", "-in", "ca.pem", "-noout", "-subject_hash")
    shutil.copy(folder / "ca.pem", trusted / f"{name}.0")
    return Authority(certificate=folder / "ca.pem", folder=trusted, server=server)
