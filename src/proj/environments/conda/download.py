"""Downloading the conda packages of a lock as files, to be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proj import events
from proj.environments.conda.channels import mirrors_of, read_settings, resolve_channel
from proj.environments.conda.messages import Download, Downloaded
from proj.environments.conda.service import ask, network
from proj.environments.uv import is_offline

if TYPE_CHECKING:
    from proj.environments.conda.lock import CondaLock
    from proj.environments.conda.messages import Failed


def download_packages(lock: CondaLock, folder: Path, *, what: str, hint: str) -> tuple[Path, ...]:
    """Download the conda packages of a lock, and compare them with its hashes.

    Channels are spoken to as the user's `.condarc` says: the project that knows more is not here.

    Args:
        lock: The lock.
        folder: Where they go; what is there already is used.
        what: Of what they are, for messages: "the packages of run 0123".
        hint: What to do if they cannot be had.

    Raises:
        EnvironmentFailedError: A package cannot be had, or is not the one that is locked.
    """
    settings = read_settings()
    names = [*settings.channels, *settings.default_channels, *(name for name, _ in settings.custom)]
    names += dict.fromkeys(locked.url.rpartition("/")[0] for locked in lock.packages)
    base = Path.home()
    accesses = {
        access.url: access for name in reversed(names) for access in resolve_channel(name, settings, base)
    }
    count = len(lock.packages)
    events.step(f"Downloading {count} conda package{'s' * (count != 1)}")

    def hints(failed: Failed) -> str:
        return "Run it without --offline." if failed.cause == "offline" else hint

    ask(
        Download(
            packages=lock.packages, folder=str(folder.absolute()),
            network=network(
                mirrors_of(accesses.values(), settings, base),
                offline=is_offline(settings.offline), verify_tls=settings.verify_tls,
            ),
        ),
        Downloaded, what=f"Cannot download {what}", hints=hints,
        secrets=tuple(secret for access in accesses.values() for secret in access.secrets),
        variables=settings.variables(),
    )  # fmt: skip
    return tuple(sorted(folder / locked.url.rpartition("/")[2] for locked in lock.packages))
