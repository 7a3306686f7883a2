"""A package of the cache is used for what it is, whatever was tried before under its name."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from environment_kit import installed
from proj import paths
from proj.environments.cache import root
from proj.environments.conda.environment import CondaEnvironment
from proj.errors import EnvironmentFailedError
from proj.model import LockMode

if TYPE_CHECKING:
    from pathlib import Path

    from conda_kit import ChannelServer
    from environment_kit import RequestMaker
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()
LOCK = "conda-linux-64.lock"


@pytest.fixture
def locked(
    served: ChannelServer, conda_project: CondaProjectMaker, request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A project that ships the lock of an environment which was made once: its packages are in the cache."""
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("alpha<2", "python=3.9", head=f"channels: ['{served.url}', nodefaults]\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    (folder / LOCK).write_bytes(prepared.lock or b"")
    shutil.rmtree(root())
    return folder


def with_hash(folder: Path, digest: str) -> None:
    """Let the lock ask for another alpha."""
    lock = folder / LOCK
    lock.write_text(re.sub(r"(alpha-1\.0-py_0\.conda)#\S+", rf"\1#{digest}", lock.read_text()))


@pytest.mark.parametrize("digest", ["sha256:" + "1" * 64, "1" * 32])
@pytest.mark.parametrize("mode", [LockMode.REUSE, LockMode.LOCKED])
def test_a_wrong_hash_is_refused_each_time(
    locked: Path, request_for: RequestMaker, mode: LockMode, digest: str
) -> None:
    right = (locked / LOCK).read_text()
    with_hash(locked, digest)
    for _ in range(3):
        with pytest.raises(EnvironmentFailedError, match="not the one that is locked"):
            ENVIRONMENT.prepare(request_for(locked, mode=mode))
    with pytest.raises(EnvironmentFailedError, match="Not in the cache"):
        ENVIRONMENT.prepare(request_for(locked, mode=mode, offline=True))
    (locked / LOCK).write_text(right)
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(locked, mode=mode)))["alpha"] == "1.0"


def test_a_download_that_failed_vouches_for_nothing(
    served: ChannelServer, locked: Path, request_for: RequestMaker
) -> None:
    """Neither where the channel has none, nor where it has it again."""
    with_hash(locked, "sha256:" + "1" * 64)
    served.missing.add("alpha-1.0-py_0.conda")
    for _ in range(2):
        with pytest.raises(EnvironmentFailedError):
            ENVIRONMENT.prepare(request_for(locked))
    served.missing.clear()
    with pytest.raises(EnvironmentFailedError, match="not the one that is locked"):
        ENVIRONMENT.prepare(request_for(locked))


def test_a_package_that_was_refused_is_not_kept(
    served: ChannelServer, locked: Path, request_for: RequestMaker
) -> None:
    shutil.rmtree(paths.cache() / "conda" / "packages")
    served.corrupt.add("alpha-1.0-py_0.conda")
    for _ in range(2):
        with pytest.raises(EnvironmentFailedError, match="not the one that is locked"):
            ENVIRONMENT.prepare(request_for(locked))
