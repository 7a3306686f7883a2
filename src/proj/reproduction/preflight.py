"""From a record to a plan: everything is restored and checked before anything is recorded or started."""

from __future__ import annotations

import contextlib
import math
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import assigning, command, events, planning, process, projectfile, record, recovery, runner
from proj.backends import BACKENDS
from proj.errors import NotFoundError, ProjError
from proj.planning import Plan, RunRequest
from proj.reproduction import backend, surroundings
from proj.reproduction import environment as environments
from proj.reproduction.code import RestoredCode
from proj.reproduction.inputs import Locator
from proj.reproduction.interpreter import find_interpreter
from proj.reproduction.problems import (
    CannotReproduceError,
    Problem,
    problem_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from proj.model import (
        BoundParameter,
        Checkout,
        EntryPoint,
        EnvironmentRequest,
        ImageRequest,
        Project,
        RunRecord,
        Snapshot,
    )
    from proj.reproduction.recipe import Recipe
    from proj.tracking import Tracking

_BEFORE_PACKAGES = {"entry point", "interpreter", "environment", "packages", "variables", "backend"}
"""Problems without which nobody can tell whether the packages can be had."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is to be made again."""

    directory: Path | None = None
    """Where to; None: into a private checkout."""
    inputs: Mapping[str, str] = {}
    """Parameter -> where its input is now."""
    python: str | None = None
    """Python to use instead of the recorded version."""
    remote: str | None = None
    """Repository to get the commit from."""
    packages: Path | None = None
    """A folder with files that the lock names, such as those of an archive."""
    backend_config: str = "{}"
    """Settings of the backend that count before the recorded ones, a JSON object."""
    timeout_s: float | None = None
    """How long the command may take: None: as long as it might then; infinite: for ever."""
    offline: bool = False
    keep: bool = False
    quiet: bool = False


@contextlib.contextmanager
def prepared(tracking: Tracking, recipe: Recipe, options: Options) -> Iterator[tuple[RunRequest, Plan]]:
    """Restore all that a run was made of.

    Raises:
        CannotReproduceError: Some of it cannot be had; nothing is left behind.
    """
    preflight = _Preflight(tracking, recipe, options)
    try:
        try:
            ready = preflight.run()
        except BaseException:
            with process.deferred():
                preflight.discard()
            raise
        yield ready
    finally:
        preflight.tidy()


def active_experiment(tracking: Tracking, run: RunRecord) -> str | None:
    """The experiment of a run; None, which stands for the project's own, where that is deleted."""
    try:
        found = tracking.runs.experiment(run.experiment_id)
    except NotFoundError:
        return None
    return found.experiment_id if found.lifecycle_stage == "active" else None


class _Preflight:
    """One run that is to be made again."""

    def __init__(self, tracking: Tracking, recipe: Recipe, options: Options) -> None:
        self._tracking = tracking
        self._recipe = recipe
        self._options = options
        self._problems: list[Problem] = []
        self._code = RestoredCode(
            tracking,
            recipe.run,
            directory=options.directory,
            remote=options.remote,
            offline=options.offline,
        )
        self._downloads: Path | None = None

    def run(self) -> tuple[RunRequest, Plan]:
        """Do all of it."""
        recipe = self._recipe
        code, made, environment = recipe.source, recipe.command, recipe.environment
        if code is None or made is None or environment is None:
            lost = [
                path
                for path, part in (
                    (record.SOURCE, code),
                    (record.COMMAND, made),
                    (record.ENVIRONMENT, environment),
                )
                if part is None
            ]
            raise self._refused(
                Problem(
                    item="record",
                    message=f"{', '.join(lost)} is missing: how it was made is not recorded.",
                    hint="Only runs that `proj` started, and whose environment was there, can be made again.",
                )
            )
        checkout = self._code.restore(code)
        self._problems += self._code.problems
        locator = Locator(
            recipe,
            checkout,
            chosen=self._options.inputs,
            downloads=self._download_folder,
            offline=self._options.offline,
        )
        parameters = locator.locate(made.parameters)
        self._problems += locator.problems
        self._check_backend()
        python = self._interpreter(environment)
        self._problems += environments.lock_problems(recipe, environment)
        if checkout is None:
            raise self._refused()
        project, entry_point = self._entry_point(checkout)
        request = self._request(code, made)
        config, image = self._configured(project, made)
        wanted = environments.request_for(
            recipe, self._options, checkout, project, entry_point, python=python, image=image
        )
        self._problems += environments.variable_problems(recipe, wanted)
        self._problems += environments.container_problems(wanted, made, project)
        if not {problem.item for problem in self._problems} & _BEFORE_PACKAGES:
            self._problems += environments.making_problems(environment, wanted)
        if self._problems or project is None or entry_point is None or self._code.snapshot is None:
            raise self._refused()
        plan = self._plan(
            checkout,
            project,
            entry_point,
            parameters,
            backend.environment_of(environment.kind, wanted),
            wanted,
            self._code.snapshot,
            config,
        )
        self._warn(request, plan, made)
        return request, plan

    def _refused(self, *more: Problem) -> CannotReproduceError:
        return CannotReproduceError(self._recipe.run.run_id, (*self._problems, *more))

    # --- what runs ------------------------------------------------------------------------------------

    def _entry_point(self, checkout: Checkout) -> tuple[Project | None, EntryPoint | None]:
        try:
            project = projectfile.load(checkout.project_dir)
            return project, projectfile.entry_point(project, self._recipe.entry_point)[0]
        except ProjError as error:
            self._problems.append(problem_of("entry point", error))
            return None, None

    # --- what it runs in ------------------------------------------------------------------------------

    def _check_backend(self) -> None:
        try:
            BACKENDS.load(self._recipe.backend)
        except ProjError as error:
            self._problems.append(problem_of("backend", error))

    def _interpreter(self, environment: record.EnvironmentRecord) -> str | None:
        """The version to ask for."""
        wanted, problem = find_interpreter(
            environment, self._recipe.lock, self._options.python, offline=self._options.offline
        )
        self._problems += filter(None, (problem,))
        return wanted

    def _configured(self, project: Project | None, made: record.CommandRecord) -> tuple[str, ImageRequest]:
        """The backend's settings as they were, and what they say of the image."""
        image = environments.image_of(self._recipe)
        if project is None or any(problem.item == "backend" for problem in self._problems):
            return "{}", image
        given = self._options.backend_config
        found = backend.configured(self._recipe.backend, made.backend_config, given, project, image)
        self._problems += found.problems
        return found.config, found.image

    # --- the plan -------------------------------------------------------------------------------------

    def _request(self, code: record.SourceRecord, made: record.CommandRecord) -> RunRequest:
        manager = environments.manager_of(self._recipe)
        return RunRequest(
            uri=code.uri,
            entry_point=self._recipe.entry_point,
            version=code.version,
            experiment_id=active_experiment(self._tracking, self._recipe.run),
            backend=self._recipe.backend,
            docker_args=made.docker_args,
            timeout_s=self._timeout_s(made),
            env_manager=manager if "PROJ_ENV_MANAGER" in made.variables else None,
            offline=self._options.offline,
            quiet=self._options.quiet,
            keep=self._options.keep,
        )

    def _timeout_s(self, made: record.CommandRecord) -> float | None:
        chosen = self._options.timeout_s
        return made.timeout_s if chosen is None else None if chosen == math.inf else chosen

    def _warn(self, request: RunRequest, plan: Plan, made: record.CommandRecord) -> None:
        host = self._recipe.host
        if host is None:
            events.warning("On which machine it ran, and with which variables, is not recorded.")
        else:
            differing = list(surroundings.machine_differences(host))
            if differing:
                events.warning(
                    f"This is another machine: {'; '.join(differing)}. "
                    "Numbers may differ in their last digits."
                )
        known = {*assigning.variable_names(request, plan), *plan.variables, *(host.variables if host else ())}
        surroundings.tell_of_variables(made, known)

    def _plan(
        self,
        checkout: Checkout,
        project: Project,
        entry_point: EntryPoint,
        parameters: tuple[BoundParameter, ...],
        environment: str,
        wanted: EnvironmentRequest,
        snapshot: Snapshot,
        config: str,
    ) -> Plan:
        values, code, mounts = planning.brought(self._recipe.backend, wanted, project, parameters)
        line = command.render(entry_point.command, values, quoting=self._quoting(project, entry_point))
        host = self._recipe.host
        return Plan(
            checkout=checkout,
            project=project,
            entry_point=entry_point,
            parameters=parameters,
            command=planning.command_of(line, checkout, code),
            code=code,
            mounts=mounts,
            backend=self._recipe.backend,
            environment=environment,
            environment_request=wanted,
            downloads=self._downloads,
            snapshot=_as_restored(snapshot),
            bundle=self._code.bundle,
            variables={**(surroundings.changes(host) if host is not None else {}), **runner.WITHOUT_REUSE},
            tags={record.TAG_REPRODUCES: self._recipe.run.run_id},
            backend_config=config,
        )

    def _quoting(self, project: Project, entry_point: EntryPoint) -> Literal["safe", "mlflow"]:
        """As the project file says, unless the recorded line tells that an option said otherwise."""
        usual: Literal["safe", "mlflow"] = project.extensions.quoting or "safe"
        made = self._recipe.command
        other: Literal["safe", "mlflow"] = "safe" if usual == "mlflow" else "mlflow"
        for quoting in (usual, other):
            with contextlib.suppress(ProjError):
                bound = made.parameters if made is not None else ()
                if (
                    made is not None
                    and command.render(entry_point.command, bound, quoting=quoting) == made.line
                ):
                    return quoting
        return usual

    # --- cleaning up ----------------------------------------------------------------------------------

    def _download_folder(self) -> Path:
        if self._downloads is None:
            self._downloads = recovery.downloads(uuid.uuid4().hex)
        return self._downloads

    def discard(self) -> None:
        """Remove all that was restored."""
        self._code.discard()
        if self._downloads is not None:
            shutil.rmtree(self._downloads, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what nobody needs once the run is over; the run itself removes a private checkout."""
        self._code.tidy()


def _as_restored(snapshot: Snapshot) -> Snapshot:
    """The snapshot of a run that has to do without what was left out."""
    missed = {left.path for left in snapshot.left_out if left.missed}
    return msgspec.structs.replace(
        snapshot,
        changes=tuple(change for change in snapshot.changes if change.path not in missed),
        left_out=tuple(msgspec.structs.replace(left, absent=left.missed) for left in snapshot.left_out),
    )
