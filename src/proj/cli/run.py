"""`proj run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from proj import events
from proj.cli import complete, output
from proj.cli.options import (
    as_of_option,
    backend_config,
    kubernetes_options,
    lock_mode,
    lock_options,
    pairs,
    python_option,
    tracking_option,
)
from proj.errors import DetachedError, UsageError
from proj.exitcodes import exit_code as exit_code_of
from proj.model import ImageRequest, Outcome, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj import planning, runner


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has ended, or was started with `--no-wait`."""

    run_id: str
    run_name: str
    status: str
    exit_code: int
    outcome: Outcome | None = None
    reused: bool = False
    """Whether it is an earlier run, since it was made of the same."""

    def text(self) -> Iterator[output.Block]:
        """Yield the id of a run that goes on; all else was said while it ran."""
        if self.outcome is None:
            yield self.run_id


def _docker_args(values: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    """Arguments of `docker run`, in the order given; those that it takes several times may be repeated."""
    split = (value.partition("=") for value in values)
    return tuple((name, content if found else None) for name, found, content in split)


@click.command(add_help_option=False)
@click.argument("uri", required=False)
@click.option(
    "-e",
    "--entry-point",
    metavar="NAME",
    shell_complete=complete.entry_points,
    help="Entry point, or the path of a script.  [default: main, or the only one]",
)
@click.option("-v", "--version", metavar="REF", help="Branch, tag or commit of a git repository.")
@click.option(
    "-P",
    "--param-list",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=complete.parameters,
    help="A parameter; may be repeated.",
)
@click.option(
    "--params",
    "params_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="YAML or JSON file of parameters; -P wins.",
)
@click.option(
    "--experiment-name",
    envvar="MLFLOW_EXPERIMENT_NAME",
    metavar="NAME",
    help="Experiment to record in, created if need be.  [default: the project's name]",
)
@click.option("--experiment-id", envvar="MLFLOW_EXPERIMENT_ID", metavar="ID", help="Experiment by its id.")
@click.option(
    "-b",
    "--backend",
    default="local",
    metavar="NAME",
    help="Where to run.  [default: here; in a container if the project names an image]",
)
@click.option("-c", "--backend-config", metavar="FILE|JSON", help="The backend's settings.")
@kubernetes_options
@click.option(
    "--env-manager",
    metavar="NAME",
    help="local, uv, virtualenv or conda.  [default: what the project asks for]",
)
@click.option(
    "--conda-exe",
    metavar="PROGRAM",
    help="conda, mamba or micromamba to make conda environments with.  [default: none is needed]",
)
@click.option(
    "--drop-missing",
    is_flag=True,
    help="With uv or virtualenv, leave out conda packages that PyPI has not.",
)
@python_option
@click.option(
    "--python-match",
    type=click.Choice(["nearest", "exact"]),
    default="nearest",
    show_default=True,
    help="Whether another patch version of the same minor will do.",
)
@as_of_option
@lock_options
@click.option("--offline", is_flag=True, help="Do without the network: cached packages only.")
@click.option(
    "-A",
    "--docker-args",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="An argument of `docker run`; may be repeated.",
)
@click.option("--build-image", is_flag=True, help="Put the code into the image instead of mounting it.")
@click.option(
    "--pull",
    type=click.Choice(["always", "missing", "never"]),
    default="missing",
    show_default=True,
    help="Whether the image is asked for in its registry.",
)
@click.option(
    "--base-image",
    metavar="IMAGE",
    help="What an image is made on for a project that names none.  [default: python:<X.Y>-slim; of "
    "conda packages debian:12-slim]",
)
@click.option("--platform", metavar="OS/ARCH", help="Platform of the image, such as linux/amd64.")
@click.option(
    "--storage-dir", envvar="MLFLOW_TMP_DIR", metavar="DIR", help="Folder for downloads of path parameters."
)
@click.option("--run-id", metavar="ID", shell_complete=complete.run_ids, help="Use an existing run.")
@click.option("--run-name", metavar="NAME", help="Name of the run.  [default: a generated one]")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag of the run; may be repeated.")
@click.option("--timeout", metavar="TIME", help="Stop the run after this time, such as 90s, 10m, 2h.")
@click.option(
    "--grace",
    default="10s",
    show_default=True,
    metavar="TIME",
    help="Time between INT, TERM and KILL when the run is stopped.",
)
@click.option(
    "--quoting", type=click.Choice(["safe", "mlflow"]), help="How values stand inside double quotes."
)
@click.option("--strict", is_flag=True, help="Unknown keys in the project file are errors.")
@click.option(
    "--require-clean", is_flag=True, help="Fail if the code differs from its commit; the files are named."
)
@click.option(
    "--archive-source", is_flag=True, help="Keep all of the code with the run, even what is pushed."
)
@click.option(
    "--snapshot-limit",
    metavar="SIZE",
    help="How much of what is not pushed is kept with the run; the largest files are left out."
    "  [default: 100MiB]",
)
@click.option("--reuse", is_flag=True, help="Take a finished run of the same instead, if there is one.")
@click.option("--keep", is_flag=True, help="Keep the private checkout of a repository or archive.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Hide the program's output and proj's own lines; both are kept."
)
@click.option(
    "--no-wait", is_flag=True, help="Return at once; see `proj wait`, `proj logs -f`, `proj cancel`."
)
@click.option("--dry-run", is_flag=True, help="Say what would be run; start and record nothing.")
@click.option(
    "-o",
    "--output",
    "output_format",
    type=click.Choice(["text", "yaml"]),
    help="With --dry-run on Kubernetes, yaml prints what would be created.  [default: text]",
)
@click.option("--no-conda", is_flag=True, hidden=True)
@click.option("--skip-image-build", is_flag=True, hidden=True)
@click.option(
    "-h",
    "--help",
    "show_help",
    is_flag=True,
    help="Show this, or with a project its entry points and parameters.",
)
@tracking_option
@output.json_option
@click.pass_context
def command(ctx: click.Context, /, uri: str | None, **options: Any) -> object:
    """Run an entry point of a project, here, and record the run.

    URI is a folder, a git URL, or a zip or tar archive (a path or http URL), each with an optional #subdir.

    \b
    proj run . -P alpha=0.5
    proj run https://host/team/repo#sub -v v1.2 -e train
    """  # noqa: D301  \b is click's mark for text that must not be wrapped
    if uri is None:
        if options["show_help"]:
            output.write(ctx.get_help())
            return None
        raise UsageError("Which project?", hint="Give a folder or URL, such as `proj run .`.")
    from proj import runner

    request = _request(uri, options)
    watcher = output.Watcher(quiet=options["quiet"] or output.as_json())
    with watcher, events.listening(watcher), events.asking(watcher.ask):
        _tell_without_effect(options)
        told = _told(request, options)
        if told is not None:
            return told
        if options["no_wait"]:
            started = runner.submit(request)
            return RunResult(
                run_id=started.run_id, run_name=started.run_name, status=started.status.value, exit_code=0
            )
        return _run(request)


def _told(request: planning.RunRequest, options: dict[str, Any]) -> object:
    """What is asked for instead of a run, if that is so."""
    if not (options["show_help"] or options["dry_run"] or options["output_format"] == "yaml"):
        return None
    from proj.cli import rehearsal

    if options["show_help"]:
        return rehearsal.entry_points(request)
    if options["output_format"] == "yaml":
        return rehearsal.manifests(request, dry_run=options["dry_run"])
    return rehearsal.dry_run(request)


def _run(request: planning.RunRequest) -> RunResult | int:
    from proj import runner

    try:
        finished = runner.run(request)
    except DetachedError as detached:
        short = detached.run_id[:8]
        output.say(detached.message)
        commands = f"`proj logs -f {short}`, `proj wait {short}`, `proj cancel {short}`"
        output.say(detached.hint or commands, label="hint:", fg="cyan")
        return detached.exit_code
    return _result(finished)


def _result(finished: runner.Finished) -> RunResult:
    outcome = finished.outcome
    if outcome.status is not RunStatus.FINISHED and not output.as_json():
        output.say(outcome.message or outcome.status.value, label="proj:", fg="red", bold=True)
        output.say(f"`proj show {finished.run_id[:8]}` tells all that is known.", label="hint:", fg="cyan")
    return RunResult(
        run_id=finished.run_id,
        run_name=finished.run_name,
        status=outcome.status.value,
        exit_code=exit_code_of(outcome),
        outcome=outcome,
        reused=finished.reused,
    )


def _request(uri: str, options: dict[str, Any]) -> planning.RunRequest:
    from proj import parameters, planning
    from proj.times import parse_duration

    if options["experiment_name"] and options["experiment_id"]:
        raise UsageError("Give --experiment-name or --experiment-id, not both.")
    given = {}
    if options["params_file"]:
        from proj import parameterfile

        given = parameterfile.load_file(Path(options["params_file"]))
    given |= parameters.parse_assignments(options["params"])
    return planning.RunRequest(
        uri=uri,
        entry_point=options["entry_point"],
        version=options["version"],
        parameters=given,
        experiment_name=options["experiment_name"],
        experiment_id=options["experiment_id"],
        backend=options["backend"],
        backend_config=backend_config(options),
        env_manager="local" if options["no_conda"] else options["env_manager"],
        python=options["python"],
        python_match=options["python_match"],
        conda_exe=options["conda_exe"],
        drop_missing=options["drop_missing"],
        as_of=options["as_of"],
        lock_mode=lock_mode(upgrade=options["upgrade"], locked=options["locked"], frozen=options["frozen"]),
        offline=options["offline"],
        storage_dir=options["storage_dir"],
        run_id=options["run_id"],
        run_name=options["run_name"],
        docker_args=_docker_args(options["docker_args"]),
        image=ImageRequest(
            base=options["base_image"],
            platform=options["platform"],
            pull=options["pull"],
            bake=options["build_image"],
        ),
        quoting=options["quoting"],
        strict=options["strict"],
        timeout_s=parse_duration(options["timeout"]) if options["timeout"] else None,
        grace_s=parse_duration(options["grace"]),
        quiet=options["quiet"] or output.as_json(),
        keep=options["keep"],
        tags=dict(pairs(options["tags"], "--tag")),
        require_clean=options["require_clean"],
        archive_source=options["archive_source"],
        snapshot_limit_bytes=_size(options["snapshot_limit"]),
        reuse=options["reuse"],
    )


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    from proj.cli.env import parse_size

    return parse_size(text)


def _tell_without_effect(options: dict[str, Any]) -> None:
    if options["no_conda"]:
        events.note("--no-conda means --env-manager local.")
    if options["skip_image_build"]:
        events.note("--skip-image-build has no effect: nothing is built that is there already.")
    if options["run_id"] and (options["experiment_name"] or options["experiment_id"]):
        events.note("The run exists already and stays in its experiment.")
