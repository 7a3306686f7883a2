"""What to do next when conda packages cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.conda.channels import host_of
from proj.environments.failures import iso_date

if TYPE_CHECKING:
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.messages import Failed
    from proj.model import EnvironmentRequest


def hint_for(failed: Failed, project: CondaProject, request: EnvironmentRequest) -> str | None:
    """The hint for a failure; None where the failure brings a better one."""
    channels = ", ".join(dict.fromkeys(host_of(access.url) for access in project.channels))
    if failed.cause == "disk":
        return "Make room: `proj env prune` removes environments that are no longer used."
    if failed.cause == "offline" or (failed.cause == "unreachable" and project.network(request).offline):
        return "Not all of it is in the cache. Run once without --offline."
    if failed.cause == "unreachable":
        return (
            f"Check the network and the channels ({channels}); `channel_alias` or `mirrored_channels` in "
            "~/.condarc name others. --env-manager uv takes what PyPI has of these packages instead."
        )
    if failed.cause == "hash":
        return "The channel has another file under that name now: lock anew with --upgrade."
    if failed.cause in ("unsatisfiable", "missing"):
        return _no_answer(failed, project, request)
    return None


def _no_answer(failed: Failed, project: CondaProject, request: EnvironmentRequest) -> str:
    words = [failed.hint] if failed.hint else []
    said = "\n".join(failed.lines)
    if "__cuda" in said:
        words.append("No GPU driver is known where it will run; CONDA_OVERRIDE_CUDA=12.4 says otherwise.")
    if "__glibc" in said and request.target != "host":
        words.append("Take a base image with a newer glibc.")
    if failed.cause == "missing":
        words.append("Check the name, or add the channel that has it to `channels:`.")
    if request.as_of_s is not None:
        words.append(f"Packages are those of {iso_date(request.as_of_s)}; --as-of now takes today's.")
    elif failed.cause == "unsatisfiable":
        words.append(f"Loosen one of the versions in {project.origin}.")
    return " ".join(words)
