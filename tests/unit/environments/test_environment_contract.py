"""The built-in environments keep the contract that third parties prove with the same suite."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from proj.environments.python import PythonEnvironment
from proj.environments.system import SystemEnvironment
from proj.model import EnvironmentRequest
from proj.testing.environments import EnvironmentContract

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.base import Environment

DECLARATION = f'python: "{sys.version_info[0]}.{sys.version_info[1]}"\ndependencies: [alpha]\n'


class TestSystem(EnvironmentContract):
    @pytest.fixture
    def environment(self) -> Environment:
        return SystemEnvironment()

    @pytest.fixture
    def environment_request(self, tmp_path: Path) -> EnvironmentRequest:
        return EnvironmentRequest(project_dir=tmp_path, root=tmp_path, manager="local")


class TestPython(EnvironmentContract):
    @pytest.fixture
    def environment(self) -> Environment:
        return PythonEnvironment()

    @pytest.fixture
    def environment_request(self, tmp_path: Path) -> EnvironmentRequest:
        (tmp_path / "python_env.yaml").write_text(DECLARATION)
        return EnvironmentRequest(project_dir=tmp_path, root=tmp_path)

    @pytest.fixture
    def impossible_request(self, tmp_path: Path) -> EnvironmentRequest:
        (tmp_path / "python_env.yaml").write_text(DECLARATION.replace("alpha", "no-such-package"))
        return EnvironmentRequest(project_dir=tmp_path, root=tmp_path)
