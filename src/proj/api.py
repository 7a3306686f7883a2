"""The Python API: `proj.run`, `proj.submit`, `proj.Run`."""

from __future__ import annotations

import collections.abc
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from proj import control, paths, runner
from proj.errors import ProjError, UsageError
from proj.exitcodes import exit_code
from proj.model import ImageRequest, LockMode, RunStatus
from proj.place import open_tracking
from proj.planning import RunRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.compare import Comparison
    from proj.history import MetricHistory
    from proj.model import Metric, Outcome, RunRecord


class RunFailedError(ProjError):
    """A run ended, and not well.

    Args:
        run: The run.
        outcome: How it ended.
        name: The run's name.
        entry_point: What ran.
    """

    code = "run_failed"

    def __init__(
        self, run: Run, outcome: Outcome, *, name: str | None = None, entry_point: str | None = None
    ) -> None:
        who = f"Run {run.run_id[:8]}" + (f" ({name})" if name else "")
        what = f" of entry point `{entry_point}`" if entry_point else ""
        super().__init__(
            f"{who}{what}: {outcome.message or f'It ended as {outcome.status.value}.'}",
            hint=f"See `proj show {run.run_id}`.",
        )
        self.run = run
        self.outcome = outcome
        self.exit_code = exit_code(outcome)


class Run:
    """A run, under way or ended; every call reads the record anew.

    Args:
        run_id: The run's id: 32 hexadecimal digits.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"Run({self.run_id!r})"

    def record(self) -> RunRecord:
        """Return all that the store knows of the run.

        Raises:
            NotFoundError: There is no such run.
        """
        with contextlib.closing(open_tracking()) as tracking:
            return tracking.runs.run(self.run_id)

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters as given."""
        return self.record().params

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metric name -> its latest point."""
        return self.record().metrics

    def metric_history(self, key: str) -> MetricHistory:
        """Return all points of a metric, in the order of step; none where the run has no such metric.

        Raises:
            NotFoundError: There is no such run.
        """
        from proj import table
        from proj.history import MetricHistory

        with contextlib.closing(open_tracking()) as tracking:
            return MetricHistory(self.run_id, key, table.points(tracking.runs, self.run_id, key))

    @property
    def artifacts(self) -> Path:
        """A folder of this machine with the run's artifacts: where they are kept, or a copy in the cache."""
        from proj.downloads import folder_of

        with contextlib.closing(open_tracking()) as tracking:
            return folder_of(tracking, tracking.runs.run(self.run_id))

    def download_artifacts(self, path: str = "", to: str | os.PathLike[str] | None = None) -> Path:
        """Return where a file or folder of the run lies on this machine, fetched if it is kept elsewhere.

        Args:
            path: Of the file or folder; a model that the run logged is a folder of the model's name.
            to: The folder to copy it to, below which it has the same path; None: it is copied to the cache,
                once for a run that has ended, and not at all where it is kept on this machine.

        Raises:
            NotFoundError: There is no such run, or it has no such file.
            StoreError: It cannot be had.
        """
        from proj.downloads import download

        with contextlib.closing(open_tracking()) as tracking:
            return download(tracking, tracking.runs.run(self.run_id), path, None if to is None else Path(to))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; True when the run succeeded.

        Raises:
            TimeoutError: It has not ended after `timeout_s` seconds.
        """
        home = paths.home()
        with contextlib.closing(open_tracking()) as tracking:
            ended = control.wait(tracking.runs.run(self.run_id), tracking, home, timeout_s)
        if ended is None:
            raise TimeoutError(f"The run {self.run_id} has not ended after {timeout_s} s.")
        return ended.status is RunStatus.FINISHED

    def get_status(self) -> str:
        """Return MLflow's word for the state: SCHEDULED, RUNNING, FINISHED, FAILED or KILLED."""
        return self.record().status.value

    def outcome(self) -> Outcome:
        """Return how the run ended.

        Raises:
            UsageError: It has not ended yet.
        """
        with contextlib.closing(open_tracking()) as tracking:
            return control.outcome(tracking.runs.run(self.run_id), tracking)

    def cancel(self) -> None:
        """Ask for the run to be stopped; `wait` tells when it has."""
        home = paths.home()
        with contextlib.closing(open_tracking()) as tracking:
            control.cancel(tracking.runs.run(self.run_id), tracking, home)


def run(
    uri: str,
    entry_point: str | None = None,
    version: str | None = None,
    parameters: Mapping[str, object] | None = None,
    docker_args: Mapping[str, object] | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    backend: str = "local",
    backend_config: Mapping[str, Any] | str | None = None,
    storage_dir: str | None = None,
    synchronous: bool = True,
    run_id: str | None = None,
    run_name: str | None = None,
    env_manager: str | None = None,
    build_image: bool = False,
    docker_auth: Mapping[str, str] | None = None,
    **options: Any,
) -> Run:
    """Run an entry point of a project and record it; the arguments are those of `mlflow.projects.run`.

    Args:
        uri: Folder, git URL or archive, each with an optional `#subdir`.
        entry_point: Its name or a script's path; None: `main`, or the only one.
        version: Branch, tag or commit of a git repository.
        parameters: Name -> value; values are taken as text.
        docker_args: Name -> value of arguments of `docker run`; True for one without a value, a list for one
            that is given several times.
        experiment_name: Experiment to record in, created if need be; default: the project's name.
        experiment_id: Its id instead.
        backend: Where to run.
        backend_config: The backend's settings: a mapping, JSON text, or the path of a JSON or YAML file.
        storage_dir: Folder for downloads of `path` parameters.
        synchronous: Wait for the end; else the run goes on in a process of its own.
        run_id: An existing run to use.
        run_name: Name of the run; default: a readable generated one.
        env_manager: local, uv, virtualenv or conda; default: the project's own.
        build_image: Put the code into the image instead of mounting it.
        docker_auth: `username` and `password` for the registry of the project's image; without it, what
            `docker login` has kept counts.
        **options: `base_image`, `platform`, `pull` and `lock_mode`, as the options of `proj run`; and further
            fields of `proj.planning.RunRequest`: `python`, `as_of`, `timeout_s`, `tags`,
            `reuse` (return a finished run that was made of the same, if there is one) …

    Returns:
        The run.

    Raises:
        RunFailedError: The entry point ran and failed (only when `synchronous`).
        ProjError: It could not be run.
        TypeError: An option is unknown.
    """
    _check_mapping("tags", options.get("tags"))
    pull = _one_of("pull", options.pop("pull", "missing"), ("always", "missing", "never"))
    lock_mode = _one_of("lock_mode", options.pop("lock_mode", "reuse"), [mode.value for mode in LockMode])
    request = RunRequest(
        uri=str(uri),
        entry_point=entry_point,
        version=version,
        parameters={str(name): str(value) for name, value in _items("parameters", parameters)},
        docker_args=_docker_args(docker_args),
        experiment_name=experiment_name,
        experiment_id=None if experiment_id is None else str(experiment_id),
        backend=backend,
        backend_config=config_json(backend_config),
        storage_dir=storage_dir or os.environ.get("MLFLOW_TMP_DIR"),
        run_id=run_id,
        run_name=run_name,
        env_manager=env_manager,
        lock_mode=LockMode(lock_mode),
        image=ImageRequest(
            base=options.pop("base_image", None),
            platform=options.pop("platform", None),
            pull=cast("Literal['always', 'missing', 'never']", pull),
            bake=build_image,
            credentials={name: str(value) for name, value in _items("docker_auth", docker_auth)},
        ),
        **options,
    )
    return _run_to_its_end(request) if synchronous else Run(runner.submit(request).run_id)


def _run_to_its_end(request: RunRequest) -> Run:
    finished = runner.run(request)
    ended = Run(finished.run_id)
    if finished.outcome.status is not RunStatus.FINISHED:
        ran = ended.record().tags.get("mlflow.project.entryPoint")
        raise RunFailedError(ended, finished.outcome, name=finished.run_name, entry_point=ran)
    return ended


def _one_of(name: str, value: object, words: collections.abc.Sequence[str]) -> str:
    if value not in words:
        raise UsageError(f"`{name}` is {value!r}, but must be one of {', '.join(words)}.")
    return str(getattr(value, "value", value))


def _docker_args(given: Mapping[str, object] | None) -> tuple[tuple[str, str | None], ...]:
    listed = [
        (str(name), None if each is True or each is None else str(each))
        for name, value in _items("docker_args", given)
        for each in (value if isinstance(value, (list, tuple)) else (value,))
    ]
    if not listed:
        return ()
    from proj.backends.docker.arguments import with_whole_paths

    return with_whole_paths(listed)


def _items(name: str, value: Mapping[str, object] | None) -> collections.abc.Iterable[tuple[str, object]]:
    _check_mapping(name, value)
    return (value or {}).items()


def _check_mapping(name: str, value: object) -> None:
    if value is not None and not isinstance(value, collections.abc.Mapping):
        raise UsageError(
            f"`{name}` must map names to values, but is a {type(value).__name__}.",
            hint=f'Write {name}={{"alpha": 0.5}}.',
        )


class Reproduction:
    """A run that was made again.

    Args:
        run: The new run.
        reproduces: The id of the run that it was made from.
        comparison: The two, item by item; None if that was not asked for.
    """

    def __init__(self, run: Run, reproduces: str, comparison: Comparison | None) -> None:
        self.run = run
        self.reproduces = reproduces
        self.comparison = comparison

    def __repr__(self) -> str:
        return f"Reproduction({self.run!r}, reproduces={self.reproduces!r}, same={self.same!r})"

    @property
    def same(self) -> bool | None:
        """Whether all that is required came out the same; None if that was not asked for."""
        return None if self.comparison is None else self.comparison.reproduced


def reproduce(run_id: str, *, verify: bool = False, **options: Any) -> Reproduction:
    """Make a run again from its record: the same code, packages, parameters, inputs and variables.

    Args:
        run_id: Its id, a prefix of it, or its name.
        verify: Compare the new run with the old one.
        **options: Fields of `proj.reproduction.Options` (`inputs`, `python`, `offline`, `directory`,
            `backend_config` …), and of
            `proj.reproduction.Check` (`rtol`, `atol`, `ignore`, `stdout`, `require`).

    Returns:
        The new run, however it ended, and the comparison.

    Raises:
        ProjError: It cannot be made again; `problems` of a `CannotReproduceError` says why, all at once.
        TypeError: An option is unknown.
    """
    from proj import reproduction

    names = reproduction.Check.__struct_fields__
    check = reproduction.Check(**{name: options.pop(name) for name in names if name in options})
    if options.get("directory") is not None:
        options["directory"] = Path(options["directory"])
    options["backend_config"] = config_json(options.get("backend_config"))
    options["inputs"] = {name: str(path) for name, path in (options.get("inputs") or {}).items()}
    made = reproduction.reproduce(run_id, reproduction.Options(**options), check if verify else None)
    return Reproduction(Run(made.finished.run_id), made.original.run_id, made.comparison)


def submit(uri: str, entry_point: str | None = None, **arguments: Any) -> Run:
    """Start a run that goes on in a process of its own; the arguments are those of `run`.

    Raises:
        ProjError: As for `run`.
    """
    return run(uri, entry_point, **(arguments | {"synchronous": False}))


def config_json(config: Mapping[str, Any] | str | None) -> str:
    """Read a backend's settings: a mapping, JSON text, or the path of a `.json`, `.yaml` or `.yml` file.

    Raises:
        UsageError: It is no JSON object.
    """
    if config is None:
        return "{}"
    import json

    if not isinstance(config, str):
        return json.dumps(dict(config))
    text, name = config, "the backend config"
    if Path(config).suffix in (".json", ".yaml", ".yml"):
        name = config
        try:
            text = Path(config).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"Cannot read the backend config {config}: {error}") from error
    value = _load(text, name)
    if not isinstance(value, dict):
        raise UsageError(
            f"Not a JSON object: {name}.", hint='Give a path ending in .json, or text like {"key": 1}.'
        )
    try:
        return json.dumps(value, default=str)
    except TypeError as error:
        raise UsageError(f"{name} holds a key that JSON has no word for: {error}") from error


def _load(text: str, name: str) -> object:
    import json

    try:
        return _load_yaml(text, name) if name.endswith((".yaml", ".yml")) else json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{name} is nested too deep.") from error


def _load_yaml(text: str, name: str) -> object:
    import yaml

    from proj import yamltree

    try:
        yamltree.parse(text)  # refuses what would grow beyond all bounds
        return yaml.safe_load(text)
    except yamltree.YamlError as error:
        place = f"{name}:{error.position.line}:{error.position.column}"
        raise UsageError(f"{place}: {error.message}", hint=error.fix) from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name} is not valid YAML: {error}") from error
