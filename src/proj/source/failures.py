"""What git's failures with a remote mean: what failed, on what, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.errors import SourceError
from proj.source.uri import host_of, redact_url

if TYPE_CHECKING:
    from proj.errors import ToolFailedError

# What git, ssh and curl say (in the C locale) -> message and hint; the first that fits is taken.
_MEANINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("no space left on device", "disk quota exceeded"),
        "The disk is full while fetching {url}.",
        "Free space, or set PROJ_CACHE to a folder on another disk.",
    ),
    (
        ("host key verification failed",),
        "The ssh host key of {host} is not known.",
        "Check it and accept it once: ssh -T {ssh_target}",
    ),
    (
        (
            *("could not read username", "could not read password", "terminal prompts disabled"),
            *("authentication failed", "permission denied (", "too many authentication failures"),
            *("error: 401", "error: 403"),
        ),
        "{host} asks who you are, for {url}.",
        "{authenticate}",
    ),
    (
        ("ssl certificate", "certificate verif", "gnutls_handshake", "tls connect error"),
        "The certificate of {host} is not trusted.",
        "Give git the authority's certificate: git config --global http.sslCAInfo FILE",
    ),
    (
        (
            *("could not resolve", "connection refused", "timed out", "network is unreachable"),
            *("no route to host", "failed to connect", "couldn't connect", "operation too slow"),
            *("name or service not known", "temporary failure in name resolution", "connection reset"),
        ),
        "{host} cannot be reached, for {url}.",
        (
            "Check the address, the network and the proxy (HTTPS_PROXY). "
            "A full commit hash that was fetched before runs without network: -v HASH."
        ),
    ),
    (
        (
            *("not found", "does not appear to be a git repository", "does not exist"),
            *("error: 404", "not a git repository"),
        ),
        "No repository at {url}.",
        "{check}",
    ),
    (("",), "git cannot fetch {url}.", "`git clone` by hand may tell more."),
)


def explain(error: ToolFailedError, url: str) -> SourceError:
    """Turn git's failure with a remote into an error that a user can act on."""
    said = error.stderr.lower()
    names = {
        "url": redact_url(url),
        "host": host_of(url) or redact_url(url),
        "ssh_target": _ssh_target(url),
        "authenticate": _how_to_authenticate(url),
        "check": _what_to_check(url),
    }
    _, message, hint = next(meaning for meaning in _MEANINGS if any(text in said for text in meaning[0]))
    return SourceError(message.format(**names), hint=hint.format(**names), details=error.details)


def _what_to_check(url: str) -> str:
    if not host_of(url):
        return "Check the path."
    return f"Check the address. Some hosts say so too when you may not see it: {_how_to_authenticate(url)}"


def _how_to_authenticate(url: str) -> str:
    if not url.startswith("http"):
        return f"load your key (ssh-add), and check it: ssh -T {_ssh_target(url)}"
    host = host_of(url)
    return (
        f"set up a git credential helper for {host}, add a line `machine {host} login USER password TOKEN` "
        "to ~/.netrc, or use the ssh address."
    )


def _ssh_target(url: str) -> str:
    address = url.partition("://")[2].partition("/")[0] if "://" in url else url
    return address.partition(":")[0]
