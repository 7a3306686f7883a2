"""What to do next when conda packages cannot be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.environments.conda.channels import host_of
from proj.environments.failures import iso_date, make_room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.messages import Failed, Locked
    from proj.model import EnvironmentRequest

_REFUSED = re.compile(r"\b(?:401 Unauthorized|403 Forbidden)\b")
_GONE = re.compile(r"404 Not Found|There is no file")
_NO_CHANNEL = re.compile(r"could not find subdir '[^']*' in channel '([^']*?)/?'")


def hint_for(
    failed: Failed, project: CondaProject, request: EnvironmentRequest, locked: Sequence[Locked] = ()
) -> str | None:
    """The hint for a failure; None where the failure brings a better one.

    Args:
        failed: What went wrong.
        project: Whose packages they are.
        request: The request.
        locked: The packages, where a lock says which; their channels need not be the project's.
    """
    urls = [each.url.rpartition("/")[0].rpartition("/")[0] for each in locked]
    urls = urls or [access.url for access in project.channels]
    channels = ", ".join(dict.fromkeys(map(host_of, urls)))
    if failed.cause == "disk":
        return make_room()
    if failed.cause == "offline" or (failed.cause == "unreachable" and project.network(request).offline):
        return "Not all of it is in the cache. Run once without --offline."
    if failed.cause == "unreachable":
        return _unreachable(failed, channels, project, locked)
    if failed.cause == "hash":
        return f"The channel has another file under that name now: {_anew(project)}."
    if failed.cause in ("unsatisfiable", "missing"):
        return _no_answer(failed, project, request)
    return (_lacking(failed, request) or failed.hint) if failed.cause == "platform" else None


def _anew(project: CondaProject) -> str:
    """How a lock is made anew; a list that is the declaration itself cannot be."""
    return "lock anew with --upgrade" if project.specs else f"write {project.origin} anew"


def _unreachable(failed: Failed, channels: str, project: CondaProject, locked: Sequence[Locked]) -> str:
    said = "\n".join(failed.lines)
    if locked and _GONE.search(said):
        return (
            f"A channel ({channels}) has a locked package no more, or hides it without the right token: "
            f"{_anew(project)}."
        )
    instead = "--env-manager uv takes what PyPI has of these packages instead." if project.specs else ""
    if _REFUSED.search(said):
        return (
            f"A channel ({channels}) asks who you are: put a login into its URL by a variable, or into "
            f"~/.netrc or rattler's auth.json. {instead}"
        ).rstrip()
    absent = _NO_CHANNEL.search(said)
    if absent:
        return f"There is no channel {absent[1]}: check its name in {project.origin}. {instead}".rstrip()
    if "certificate" not in said:
        return (
            f"Check the network and the channels ({channels}); `channel_alias` or `mirrored_channels` in "
            f"~/.condarc name others. {instead}"
        ).rstrip()
    variables = project.settings.variables()
    known = variables.get("SSL_CERT_FILE") or variables.get("SSL_CERT_DIR") or "the system's authorities"
    return (
        f"The certificate of a channel ({channels}) is not vouched for by {known}. Name the file of its "
        "authority: `ssl_verify: /path/ca.pem` in ~/.condarc, or SSL_CERT_FILE."
    )


def _lacking(failed: Failed, request: EnvironmentRequest) -> str:
    """What to do about what packages ask of a machine; empty if that plays no part."""
    said = "\n".join(failed.lines)
    if "__cuda" in said:
        return "No GPU driver is known where it will run; CONDA_OVERRIDE_CUDA=12.4 says otherwise."
    if "__glibc" in said and request.target != "host":
        return "Take a base image with a newer glibc."
    return ""


def _no_answer(failed: Failed, project: CondaProject, request: EnvironmentRequest) -> str:
    words = [text for text in (failed.hint, _lacking(failed, request)) if text]
    if failed.cause == "missing":
        words.append("Check the name, or add the channel that has it to `channels:`.")
    if request.as_of_s is not None:
        words.append(f"Packages are those of {iso_date(request.as_of_s)}; --as-of now takes today's.")
    elif failed.cause == "unsatisfiable":
        words.append(f"Loosen one of the versions in {project.origin}.")
    return " ".join(words)
