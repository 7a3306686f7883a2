"""Signatures of archives by SSH keys: made and checked by `ssh-keygen`, over the bytes of the statement.

https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import process
from proj.archive import manifest
from proj.archive.failures import SignatureError
from proj.errors import ToolFailedError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.archive.reading import Archive

NAMESPACE = "proj-archive"
"""Keeps a signature that was made for something else from being taken for one of an archive."""
_USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_KEY = re.compile(r"with (?P<kind>\S+) key (?P<fingerprint>SHA256:\S+)")


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed an archive."""

    signer: str
    """The principal by which the file of allowed signers knows the key."""
    key: str
    """Its fingerprint, `SHA256:…`."""


def signer(key: Path | None) -> Callable[[bytes], bytes]:
    """What signs with a key, once there is something to sign.

    Raises:
        SignatureError: There is no such key: better said before a long export than after it.
    """
    if key is not None:
        _check_key(key)
    return lambda content: sign(content, key)


def sign(content: bytes, key: Path | None = None) -> bytes:
    """Sign bytes.

    Args:
        content: The statement.
        key: A private key, or a public one whose private one an agent holds; None: the one that git is told
            to sign with, else the agent's first, else the usual file.

    Raises:
        SignatureError: There is no key, or it cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="proj-sign-") as folder:
        chosen = key or _default_key(Path(folder))
        _check_key(chosen)
        data = Path(folder) / "statement"
        data.write_bytes(content)
        _ssh_keygen(
            "sign", "-n", NAMESPACE, "-f", str(chosen.absolute()), str(data), failed=f"{chosen} cannot sign"
        )
        return data.with_name("statement.sig").read_bytes()


def verify(archive: Archive, allowed: Path | None = None) -> Signature:
    """See that an archive is signed by somebody who may.

    The archive must have been verified: the signature is of its statement, which names all digests.

    Args:
        archive: The archive.
        allowed: File of allowed signers as `ssh-keygen` reads it; None: the one that git is told to use.

    Raises:
        SignatureError: It is not signed, or not by an allowed signer, or the signature is of other bytes.
    """
    if not archive.signed:
        raise SignatureError(f"{archive.path} is not signed.", hint="Ask its maker for a signed one.")
    allowed = allowed or _default_signers()
    if not allowed.is_file():
        raise SignatureError(f"There is no file of allowed signers {allowed}.")
    statement = archive.read(manifest.STATEMENT)
    with tempfile.TemporaryDirectory(prefix="proj-verify-") as folder:
        signature = Path(folder) / "signature"
        signature.write_bytes(archive.read(manifest.SIGNATURE))
        signers = ("-f", str(allowed.absolute()))
        found = _ssh_keygen(
            "find-principals", *signers, "-s", str(signature),
            failed=f"{archive.path} is signed by a key that {allowed} does not name",
        )  # fmt: skip
        problem: SignatureError | None = None
        for signer in found.split("\n"):
            try:
                said = _ssh_keygen(
                    "verify", *signers, "-I", signer, "-n", NAMESPACE, "-s", str(signature),
                    stdin=statement, failed=f"The signature of {archive.path} is not valid",
                )  # fmt: skip
            except SignatureError as error:
                problem = problem or error
                continue
            match = _KEY.search(said)
            return Signature(signer=signer, key=match["fingerprint"] if match else "")
        assert problem is not None  # noqa: S101  there was one signer at least
        raise problem


def _check_key(key: Path) -> None:
    if not key.is_file():
        raise SignatureError(
            f"There is no key {key}.", hint="Give the file of a private key, or of a public one."
        )


def _ssh_keygen(action: str, *arguments: str, failed: str, stdin: bytes | None = None) -> str:
    try:
        # A key with a passphrase must not ask for it: there may be nobody, and an agent does it better.
        done = process.run(
            ["ssh-keygen", "-Y", action, *arguments],
            stdin=stdin,
            env={"SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"},
            exact=True,
        )
    except ToolMissingError as error:
        raise SignatureError(
            "Signatures are made and checked by ssh-keygen, which is not on PATH.", hint="Install OpenSSH."
        ) from error
    except ToolFailedError as error:
        passphrase = "passphrase" in error.stderr
        raise SignatureError(
            f"{failed}.",
            hint="Its passphrase cannot be asked for: `ssh-add` it, then try again." if passphrase else None,
            details=error.details,
        ) from error
    return done.stdout.strip("\n")


def _default_key(folder: Path) -> Path:
    configured = _git_setting("user.signingKey") if _git_setting("gpg.format") == "ssh" else None
    if configured is not None and not configured.startswith(("key::", "ssh-")):
        return Path(configured).expanduser()
    literal = None if configured is None else configured.removeprefix("key::")
    for public in filter(None, (literal, *_agent_keys())):
        file = folder / "key.pub"
        file.write_text(f"{public}\n", encoding="utf-8")
        return file
    for name in _USUAL_KEYS:
        file = Path.home() / ".ssh" / name
        if file.is_file():
            return file
    raise SignatureError(
        "There is no key to sign with.", hint="Name one, --sign=KEY; `ssh-keygen -t ed25519` makes one."
    )


def _agent_keys() -> Iterator[str]:
    with contextlib.suppress(ToolFailedError, ToolMissingError):
        yield from process.run(["ssh-add", "-L"]).stdout.splitlines()


def _default_signers() -> Path:
    configured = _git_setting("gpg.ssh.allowedSignersFile")
    if configured is None:
        raise SignatureError(
            "Nothing says who may sign.", hint="Name a file of allowed signers: --verify-signature=FILE."
        )
    return Path(configured).expanduser()


def _git_setting(name: str) -> str | None:
    with contextlib.suppress(ToolFailedError, ToolMissingError):
        return process.run(["git", "config", "--get", name]).stdout.strip() or None
    return None
