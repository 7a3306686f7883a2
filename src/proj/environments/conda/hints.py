"""What to do next when conda packages cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.conda.channels import host_of
from proj.environments.failures import iso_date, make_room

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.messages import Failed
    from proj.model import EnvironmentRequest


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
    return None


def _unreachable(failed: Failed, channels: str, project: CondaProject) -> str:
    if not any("certificate" in line for line in failed.lines):
        return (
            f"Check the network and the channels ({channels}); `channel_alias` or `mirrored_channels` in "
            "~/.condarc name others. --env-manager uv takes what PyPI has of these packages instead."
        )
    variables = project.settings.variables()
    known = variables.get("SSL_CERT_FILE") or variables.get("SSL_CERT_DIR") or "the system's authorities"
    return (
        f"The certificate of a channel ({channels}) is not vouched for by {known}. Name the file of its "
        "authority: `ssl_verify: /path/ca.pem` in ~/.condarc, or SSL_CERT_FILE."
    )


def _no_answer(failed: Failed, project: CondaProject, request: EnvironmentRequest) -> str:
    words = [failed.hint] if failed.hint else []
    if failed.cause == "missing":
        words.append("Check the name, or add the channel that has it to `channels:`.")
    if request.as_of_s is not None:
        words.append(f"Packages are those of {iso_date(request.as_of_s)}; --as-of now takes today's.")
    elif failed.cause == "unsatisfiable":
        words.append(f"Loosen one of the versions in {project.origin}.")
    return " ".join(words)
