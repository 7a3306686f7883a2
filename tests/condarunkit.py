"""A project with packages of `real_channel`, and a server of those; a pytest plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conda_kit import ChannelServer
from projkit import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from projkit import ProjFolder

ONLINE: dict[str, str | None] = {"UV_OFFLINE": None}
"""The channels of these tests are on loopback."""
PROJECT = """
name: conda-project
conda_env: conda.yaml
entry_points:
  main:
    parameters: {{n: {{type: int, default: 3}}}}
    command: "{command}"
"""
COMMAND = "python train.py {n}"
TRAIN = """
import os, ssl, sqlite3, sys
import alpha, tiny, tinynum
print(sys.version_info[:2], alpha.version, tiny.version, tinynum.total([1.0] * int(sys.argv[1])))
print(tinynum.prefix() == sys.prefix + "/share/tiny", os.environ["GREETING"], end=" ")
print(os.environ["TOOL_HOME"] == sys.prefix)
"""


@pytest.fixture
def conda_server(real_channel: Path) -> Iterator[ChannelServer]:
    made = ChannelServer(real_channel)
    yield made
    made.close()


def conda_yaml(url: str, minor: str = "3.9", *more: str) -> str:
    lines = "".join(
        f"  - {line}\n" for line in (f"python={minor}", "alpha<2", "tinynum", "tool", "pip", *more)
    )
    pip = '  - pip:\n    - --no-index\n    - --find-links ./wheels\n    - "tiny"\n'
    variables = "variables:\n  GREETING: hello\n"
    return f"name: x\nchannels: ['{url}', nodefaults]\ndependencies:\n{lines}{pip}{variables}"


def write_project(folder: ProjFolder, url: str, minor: str = "3.9", command: str = COMMAND) -> None:
    folder.write({
        "MLproject": PROJECT.format(command=command), "conda.yaml": conda_yaml(url, minor), "train.py": TRAIN,
        "wheels/tiny-1.0-py3-none-any.whl": wheel("tiny", "1.0"),
    })  # fmt: skip
