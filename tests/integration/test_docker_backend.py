"""The docker backend with the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.backends.docker import DockerBackend
from proj.backends.docker.handle import DockerHandle
from proj.model import ImageRuntime
from proj.testing.backends import BackendContract, ExecutionMaker, execution_maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.backends.base import Backend, Handle, MetricSink
    from proj.model import Execution

pytestmark = pytest.mark.docker


class _TidyBackend(DockerBackend):
    """Leaves no containers behind: that is up to whoever has recorded their ends."""

    def __init__(self) -> None:
        self.handles: list[DockerHandle] = []

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        handle = super().submit(execution, on_metric)
        assert isinstance(handle, DockerHandle)
        self.handles.append(handle)
        return handle


class TestContract(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        tidy = _TidyBackend()
        yield tidy
        for handle in tidy.handles:
            handle.forget()

    @pytest.fixture
    def execution(self, tmp_path: Path, shell_image: str) -> ExecutionMaker:
        return execution_maker(tmp_path, runtime=ImageRuntime(image=shell_image), cwd="/")
