"""TLS to an engine as docker's command line does it: certificates in `DOCKER_CERT_PATH`, else `~/.docker`."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from proj.errors import ImageError

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


def is_wanted(scheme: str) -> bool:
    """Whether the engine is spoken to by TLS."""
    return scheme == "https" or bool(
        os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH")
    )


def folder() -> Path:
    """Where the certificates are."""
    return Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")


def context() -> ssl.SSLContext:
    """What is trusted, and how we say who we are.

    Raises:
        ImageError: A file of certificates cannot be read, or is none.
    """
    place = folder()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if os.environ.get("DOCKER_TLS_VERIFY"):
        _trust(made, place / "ca.pem")
    else:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    certificate, key = place / "cert.pem", place / "key.pem"
    missing = [file for file in (certificate, key) if not file.exists()]
    if len(missing) == 1:
        raise ImageError(
            f"The docker daemon cannot be asked: {missing[0]} is missing.",
            hint="cert.pem and key.pem go together: see DOCKER_CERT_PATH.",
        )
    if not missing:
        try:
            made.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable(f"{certificate} and {key.name}", error) from error
    return made


def is_refusal(error: OSError) -> bool:
    """Whether a connection failed because of TLS: by its words, or because we have no certificate to show.

    An engine that wants one closes the connection, and what we send meanwhile makes that a reset: then the
    system throws away the engine's words.
    """
    closed = isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError))
    return isinstance(error, ssl.SSLError) or (closed and not (folder() / "cert.pem").exists())


def _trust(made: ssl.SSLContext, authority: Path) -> None:
    if not authority.exists():
        made.load_default_certs()
        return
    try:
        made.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise _unusable(str(authority), error) from error


def _no_password() -> str:
    raise ValueError("the key has a password, and nobody can be asked for it")


def _unusable(what: str, error: OSError | ValueError) -> ImageError:
    reason = str(error) if isinstance(error, ValueError) else error.strerror or str(error)
    if isinstance(error, ssl.SSLError):
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = (
            "the key is not that of the certificate"
            if mismatch
            else f"it is no PEM ({error.reason or error})"
        )
    return ImageError(
        f"The docker daemon cannot be asked: {what} cannot be used: {reason}.",
        hint="See DOCKER_CERT_PATH: it names the folder of ca.pem, cert.pem and key.pem.",
    )


def refused(where: str, error: OSError) -> ImageError:
    """The error for a connection on which TLS failed.

    Args:
        where: The engine's address.
        error: What failed.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return ImageError(
            f"The docker daemon at {where} is not trusted: {error.verify_message or error.reason}.",
            hint=f"Put the certificate of the authority that it was signed by into {folder() / 'ca.pem'}.",
        )
    reason = getattr(error, "reason", None)
    if reason in _NOT_TLS:
        return ImageError(
            f"What answers at {where} does not speak TLS.",
            hint="Unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or name its TLS port in DOCKER_HOST.",
        )
    return ImageError(
        f"The docker daemon at {where} refuses the connection: {reason or error.strerror or error}.",
        hint=f"It may want a certificate of ours: cert.pem and key.pem in {folder()}.",
    )
