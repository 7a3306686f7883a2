"""What to do next when conda packages cannot be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.environments.conda.channels import host_of
from proj.environments.failures import iso_date, make_room

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.messages import Failed
    from proj.model import EnvironmentRequest

_REFUSED = re.compile(r"\b(?:401 Unauthorized|403 Forbidden)\b")
_NO_CHANNEL = re.compile(r"could not find subdir '[^']*' in channel '([^']*?)/?'")


def hint_for(failed: Failed, project: CondaProject, request: EnvironmentRequest) -> str | None:
    """The hint for a failure; None where the failure brings a better one."""
    channels = ", ".join(dict.fromkeys(host_of(access.url) for access in project.channels))
    if failed.cause == "disk":
        return make_room()
    if failed.cause == "offline" or (failed.cause == "unreachable" and project.network(request).offline):
        return "Not all of it is in the cache. Run once without --offline."
    if failed.cause == "unreachable":
        return _unreachable(failed, channels, project)
    if failed.cause == "hash":
        return "The channel has another file under that name now: lock anew with --upgrade."
    if failed.cause in ("unsatisfiable", "missing"):
        return _no_answer(failed, project, request)
    return (_lacking(failed, request) or failed.hint) if failed.cause == "platform" else None


def _unreachable(failed: Failed, channels: str, project: CondaProject) -> str:
    said = "\n".join(failed.lines)
    instead = "--env-manager uv takes what PyPI has of these packages instead."
    if _REFUSED.search(said):
        return (
            f"A channel ({channels}) asks who you are: put a login into its URL by a variable, or into "
            f"~/.netrc or rattler's auth.json. {instead}"
        )
    absent = _NO_CHANNEL.search(said)
    if absent:
        return f"There is no channel {absent[1]}: check its name in {project.origin}. {instead}"
    if "certificate" not in said:
        return (
            f"Check the network and the channels ({channels}); `channel_alias` or `mirrored_channels` in "
            f"~/.condarc name others. {instead}"
        )
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
