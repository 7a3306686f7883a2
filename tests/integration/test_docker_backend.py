"""The docker backend with the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.backends.docker import DockerBackend
from proj.model import ImageRuntime
from proj.testing.backends import BackendContract, ExecutionMaker, execution_maker

if TYPE_CHECKING:
    from pathlib import Path

    from proj.backends.base import Backend

pytestmark = pytest.mark.docker


class TestContract(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return DockerBackend()

    @pytest.fixture
    def execution(self, tmp_path: Path, shell_image: str) -> ExecutionMaker:
        return execution_maker(tmp_path, runtime=ImageRuntime(image=shell_image), cwd="/")
