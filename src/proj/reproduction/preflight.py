"""From a record to a plan: everything is restored and checked before anything is recorded or started."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import assigning, command, events, planning, process, projectfile, record, recovery, runner
from proj.backends import BACKENDS
from proj.environments import ENVIRONMENTS
from proj.errors import NotFoundError, ProjError
from proj.model import Checkout, EnvironmentRequest, ImageRequest
from proj.planning import Plan, RunRequest
from proj.reproduction import backend, surroundings
from proj.reproduction.code import RestoredCode
from proj.reproduction.inputs import Locator
from proj.reproduction.interpreter import find_interpreter
from proj.reproduction.problems import (
    CannotReproduceError,
    Problem,
    problem_of,
    problem_of_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from proj.model import BoundParameter, EntryPoint, Project, RunRecord, Snapshot
    from proj.reproduction.recipe import Recipe
    from proj.tracking import Tracking

_BEFORE_PACKAGES = {"entry point", "interpreter", "environment", "packages", "variables", "backend"}
"""Problems without which nobody can tell whether the packages can be had."""
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


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
        self._check_lock(environment)
        if checkout is None:
            raise self._refused()
        project, entry_point = self._entry_point(checkout)
        request = self._request(code, made)
        config, image = self._configured(project, made)
        wanted = self._environment_request(checkout, project, entry_point, python, image)
        self._check_variables(wanted)
        self._check_container(wanted, made)
        if not {problem.item for problem in self._problems} & _BEFORE_PACKAGES:
            self._prepare(environment, wanted)
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

    def _check_lock(self, environment: record.EnvironmentRecord) -> None:
        if environment.kind not in ENVIRONMENTS.names():
            self._problems.append(
                Problem(
                    item="environment",
                    message=f"It is of the kind {environment.kind!r}, which is unknown here.",
                    hint="Install what provides it.",
                )
            )
        if environment.lock is not None and self._recipe.lock is None:
            self._problems.append(
                Problem(item="packages", message=f"Their lock, {environment.lock}, is gone from the record.")
            )
        if environment.kind in ("python", "conda") and environment.lock is None:
            self._problems.append(Problem(item="packages", message="Their lock was not recorded."))

    def _configured(self, project: Project | None, made: record.CommandRecord) -> tuple[str, ImageRequest]:
        """The backend's settings as they were, and what they say of the image."""
        image = self._image()
        if project is None or any(problem.item == "backend" for problem in self._problems):
            return "{}", image
        given = self._options.backend_config
        found = backend.configured(self._recipe.backend, made.backend_config, given, project, image)
        self._problems += found.problems
        return found.config, found.image

    def _environment_request(
        self,
        checkout: Checkout,
        project: Project | None,
        entry_point: EntryPoint | None,
        python: str | None,
        image: ImageRequest,
    ) -> EnvironmentRequest:
        return EnvironmentRequest(
            project_dir=checkout.project_dir,
            root=checkout.root,
            target=self._target(),
            image=image,
            subdir=planning.below(checkout),
            outputs=project.extensions.outputs if project is not None else (),
            declaration=project.environment if project is not None else None,
            script=entry_point.script if entry_point is not None else None,
            manager=self._manager(),
            python=python,
            python_match="exact" if self._options.python is None else "nearest",
            lock=self._recipe.lock,
            packages=self._options.packages,
            offline=self._options.offline,
        )

    def _target(self) -> Literal["host", "engine", "cluster"]:
        with contextlib.suppress(ProjError):  # an unknown backend is among the problems already
            return planning.target_of(self._recipe.backend)
        return "host"

    def _image(self) -> ImageRequest:
        """What ran, so that it is taken again: an image by its id or digest, a base by its digest."""
        environment = self._recipe.environment
        image = environment.image if environment is not None else None
        if environment is None or image is None:
            return ImageRequest()
        return ImageRequest(
            base=None if environment.kind == "image" else image.base or image.name,
            bake=environment.kind == "image" and image.has_code,
            recorded_id=image.image_id,
            recorded_digest=image.digest,
            recorded_reference=image.reference,
            recorded_base=image.base_digest,
        )

    def _manager(self) -> str | None:
        kind = self._recipe.environment.kind if self._recipe.environment is not None else ""
        return {"python": "uv", "system": "local", "conda": "conda"}.get(kind)

    def _check_variables(self, wanted: EnvironmentRequest) -> None:
        """See that variables whose values are in no record, such as passwords of an index, are set."""
        import os

        text = (self._recipe.lock or b"").decode("utf-8", "replace")
        with contextlib.suppress(ProjError):  # told when the environment is made
            from proj.environments.inputs import read_input

            declared = read_input(wanted) if self._recipe.lock is not None else None
            text += "\n".join(declared.requirements.options) if declared is not None else ""
        for name in sorted(set(_VARIABLE.findall(text)) - set(os.environ)):
            self._problems.append(
                Problem(
                    item="variables",
                    message=f"{name} is not set, and the packages' URLs need it.",
                    hint="Set it; --env-file loads a file of variables.",
                )
            )

    def _check_container(self, wanted: EnvironmentRequest, made: record.CommandRecord) -> None:
        try:
            planning.check_container(wanted, made.docker_args)
        except ProjError as error:
            self._problems.append(problem_of("container", error))

    def _prepare(self, environment: record.EnvironmentRecord, wanted: EnvironmentRequest) -> None:
        """Make the environment: nothing else tells for sure whether all packages can be had."""
        maker = ENVIRONMENTS.load(backend.environment_of(environment.kind, wanted))
        try:
            made = maker.prepare(wanted)
        except ProjError as error:
            locked = environment.lock is not None
            self._problems.append(problem_of_environment(error, locked=locked))
            return
        if environment.lock is None:
            differing = list(surroundings.environment_differences(environment.facts, maker.facts(made)))
            if differing:
                events.warning(
                    "The run used the environment that it found, and no lock says what was in it. "
                    f"Here it is another: {', '.join(differing)}."
                )

    # --- the plan -------------------------------------------------------------------------------------

    def _request(self, code: record.SourceRecord, made: record.CommandRecord) -> RunRequest:
        return RunRequest(
            uri=code.uri,
            entry_point=self._recipe.entry_point,
            version=code.version,
            experiment_id=active_experiment(self._tracking, self._recipe.run),
            backend=self._recipe.backend,
            docker_args=made.docker_args,
            timeout_s=self._timeout_s(made),
            env_manager=self._manager() if "PROJ_ENV_MANAGER" in made.variables else None,
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
