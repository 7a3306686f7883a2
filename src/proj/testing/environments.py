"""The contract suite of environments: subclass it, say how to make one and for what, and let pytest run it.

    class TestMyEnvironment(EnvironmentContract):
        @pytest.fixture
        def environment(self) -> Environment:
            return MyEnvironment()

        @pytest.fixture
        def environment_request(self, tmp_path: Path) -> EnvironmentRequest:
            (tmp_path / "environment.toml").write_text("…")
            return EnvironmentRequest(project_dir=tmp_path, root=tmp_path)

`PROJ_CACHE` must name an empty folder: the suite looks at what is written there.
"""

# ruff: noqa: S101  asserts as in tests

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import paths
from proj.errors import EnvironmentFailedError, ImageError
from proj.model import EnvironmentFacts, EnvironmentPlan, HostRuntime, ImageRuntime, PreparedEnvironment
from proj.process import run

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.model import EnvironmentRequest

CALLERS = 4
"""How many prepare at once."""
LIMIT_S = 100.0


def files_below(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with its size and time: what changes tells who wrote."""
    found: dict[str, tuple[int, int]] = {}
    for base, _, names in os.walk(folder):
        for name in names:
            stat = (Path(base) / name).lstat()
            found[str(Path(base) / name)] = (stat.st_size, stat.st_mtime_ns)
    return found


class EnvironmentContract:
    """What every environment guarantees.

    Set `foretells` to False where only making an environment tells whether it is there.
    """

    foretells = True

    @pytest.fixture
    def environment(self) -> Environment:
        """The environment to prove. Override this."""
        raise NotImplementedError

    @pytest.fixture
    def environment_request(self, tmp_path: Path) -> EnvironmentRequest:
        """A request that it can meet. Override this."""
        raise NotImplementedError

    @pytest.fixture
    def impossible_request(self, tmp_path: Path) -> EnvironmentRequest:  # noqa: ARG002  for overriding
        """A request that it cannot meet. Override this, or skip where there is none."""
        pytest.skip("this environment can meet every request")

    def test_a_plan_writes_nothing(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """`plan` leaves the project and the cache as they are."""
        project = files_below(environment_request.project_dir)
        cache = files_below(paths.cache())
        plan = environment.plan(environment_request)
        assert isinstance(plan, EnvironmentPlan)
        assert plan.summary
        assert "\n" not in plan.summary
        assert files_below(environment_request.project_dir) == project
        assert files_below(paths.cache()) == cache

    def test_preparing_makes_what_was_planned(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """After `prepare`, the plan says that the environment is there, and names the same."""
        prepared = environment.prepare(environment_request)
        plan = environment.plan(environment_request)
        assert plan.built or not self.foretells
        assert (plan.kind, plan.directory) == (prepared.kind, prepared.directory)
        assert plan.lock_digest == prepared.lock_digest or not self.foretells
        assert isinstance(prepared.runtime, HostRuntime | ImageRuntime)

    def test_the_project_stays_as_it_is(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """`prepare` writes nothing into the project's folder."""
        before = files_below(environment_request.project_dir)
        environment.prepare(environment_request)
        assert files_below(environment_request.project_dir) == before

    def test_the_second_time_reuses_the_first(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """`prepare` is idempotent."""
        first = environment.prepare(environment_request)
        second = environment.prepare(environment_request)
        assert second.reused
        assert (second.lock_digest, second.lock) == (first.lock_digest, first.lock)
        assert (second.directory, second.runtime) == (first.directory, first.runtime)

    def test_a_lock_has_a_name_and_a_digest(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """What is locked can be stored with the run and told from another lock."""
        prepared = environment.prepare(environment_request)
        if prepared.lock is None:
            pytest.skip("this environment locks nothing")
        assert prepared.lock_name
        assert prepared.lock_digest is not None
        assert prepared.lock_digest.startswith("sha256:")

    def test_many_at_once_share_one(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """Simultaneous first calls all get the same complete environment."""
        prepared: list[PreparedEnvironment] = []
        threads = [
            threading.Thread(target=lambda: prepared.append(environment.prepare(environment_request)))
            for _ in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        assert len(prepared) == CALLERS
        assert len({item.directory for item in prepared}) == 1
        assert len({item.lock_digest for item in prepared}) == 1
        assert sum(not item.reused for item in prepared) <= 1

    def test_the_runtime_runs(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """A command finds the environment's folders first on PATH."""
        prepared = environment.prepare(environment_request)
        if not isinstance(prepared.runtime, HostRuntime):
            pytest.skip("this environment does not run on this machine")
        path = os.pathsep.join((*prepared.runtime.path, os.environ["PATH"]))
        done = run(["sh", "-c", "command -v python"], env={**prepared.runtime.variables, "PATH": path})
        if prepared.runtime.path:
            assert done.stdout.startswith(prepared.runtime.path[0])

    def test_facts_never_raise(
        self, environment: Environment, environment_request: EnvironmentRequest
    ) -> None:
        """`facts` answers even for an environment that is gone."""
        prepared = environment.prepare(environment_request)
        assert isinstance(environment.facts(prepared), EnvironmentFacts)
        gone = PreparedEnvironment(
            kind=prepared.kind, summary="gone", runtime=prepared.runtime, directory=Path("/nowhere/at/all")
        )
        assert isinstance(environment.facts(gone), EnvironmentFacts)

    def test_failure_leaves_nothing(
        self, environment: Environment, impossible_request: EnvironmentRequest
    ) -> None:
        """What cannot be met is told as such an error, and never planned as built."""
        with pytest.raises((EnvironmentFailedError, ImageError)) as caught:
            environment.prepare(impossible_request)
        assert caught.value.message
        try:
            assert not environment.plan(impossible_request).built
        except (EnvironmentFailedError, ImageError):
            return
