from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clusterkit import IMAGE, Namespace
from proj.backends.kubernetes import KubernetesBackend
from proj.model import Execution, ImageRuntime
from proj.testing.backends import BackendContract, ExecutionMaker, execution_maker

if TYPE_CHECKING:
    from pathlib import Path

    from proj.backends.base import Backend

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


class TestKubernetesContract(BackendContract):
    # The API has one log for each container, and docker keeps logs as JSON.
    keeps_streams_apart = False
    keeps_every_byte = False

    @pytest.fixture
    def backend(self) -> Backend:
        return KubernetesBackend()

    @pytest.fixture
    def execution(self, tmp_path: Path, namespace: Namespace) -> ExecutionMaker:
        make = execution_maker(tmp_path, runtime=ImageRuntime(image=IMAGE), cwd="/")

        def made(line: str, **changes: object) -> Execution:
            settings = {"backend_config": namespace.config(), "grace_s": 1.0}
            return make(line, **{**settings, "run_id": os.urandom(16).hex(), **changes})

        return made
