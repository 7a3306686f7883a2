"""A channel of tiny packages, whose `python` is a shell script: enough for all that starts no Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from conda_kit import PLACEHOLDER, ChannelServer, CondaPackage, make_channel, module_package
from environment_kit import make_request
from proj import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from environment_kit import RequestMaker

DAY_2022 = 1646352000
SCRIPT = "#!/bin/sh\necho tiny python in ${CONDA_PREFIX:-nothing}\n"


def python(version: str, build: str = "h1_0", **more: object) -> CondaPackage:
    return CondaPackage(name="python", version=version, build=build, files={"bin/python": SCRIPT}, **more)  # type: ignore[arg-type]  # the tests name the fields


PACKAGES = (
    python("3.9.18"),
    python("3.9.7"),
    python("3.11.7"),
    module_package("pip", "23.0"),
    module_package("alpha", "1.0"),
    module_package("alpha", "2.0", timestamp_s=DAY_2022),
    module_package("needs-old-alpha", "1.0", ("alpha <2",)),
    module_package("needs-new-alpha", "1.0", ("alpha >=2",)),
    CondaPackage(name="tool", suffix=".tar.bz2", files={
        "bin/tool": f"#!/bin/sh\necho {PLACEHOLDER}\n",
        "lib/tool.bin": b"\0" + PLACEHOLDER.encode() + b"/share\0rest",
        "etc/conda/activate.d/tool.sh": 'export TOOL_HOME="$CONDA_PREFIX/share"\n'
        'export PATH="$CONDA_PREFIX/extra:$PATH"\nunset TOOL_UNWANTED\necho noise\n',
        "etc/conda/env_vars.d/tool.json": '{"TOOL_MODE": "fast", "GREETING": "of a package"}',
    }),
    module_package("needs-old-python", "1.0", ("python <3.11",)),
    module_package("needs-nobody", "1.0", ("nobody >=1",)),
    module_package("needs-later-alpha", "1.0", ("alpha >=3",)),
    CondaPackage(name="gpu-tool", depends=("__cuda >=11",)),
    CondaPackage(name="undated", timestamp_s=None),
    CondaPackage(name="only-there", subdir="win-64"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the user's own `~/.condarc` says is no part of a test."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


class CondaProjectMaker(Protocol):
    def __call__(self, *dependencies: str, head: str = "", tail: str = "") -> Path: ...


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_channel(tmp_path_factory.mktemp("channel"), PACKAGES)


@pytest.fixture
def conda_project(tmp_path: Path, channel: Path) -> CondaProjectMaker:
    """Writes a conda.yaml whose channel is the tiny one."""
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)

    def make(*dependencies: str, head: str = "", tail: str = "") -> Path:
        lines = "".join(f"- {line!r}\n" for line in dependencies)
        channels = head or f"channels: [{channel.as_uri()}, nodefaults]\n"
        (folder / "conda.yaml").write_text(f"name: x\n{channels}dependencies:\n{lines}{tail}")
        return folder

    return make


@pytest.fixture
def served(channel: Path) -> Iterator[ChannelServer]:
    server = ChannelServer(channel)
    yield server
    server.close()


@pytest.fixture
def secret_channel(channel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The head of a conda.yaml whose channel is behind a token, `tk-5ecret-5ecret`."""
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("CHANNEL_KEY", "tk-5ecret-5ecret")
    server = ChannelServer(channel, token="tk-5ecret-5ecret")
    yield f"channels: ['http://{server.address}/t/${{CHANNEL_KEY}}/channel', nodefaults]\n"
    server.close()


@pytest.fixture
def request_for() -> RequestMaker:
    return make_request


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the stages say, as `kind: message`."""
    lines: list[str] = []
    with events.listening(lambda event: lines.append(f"{event.kind}: {event.message}")):
        yield lines
