"""A run's record as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.cli import wording
from proj.cli.output import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proj.cli.output import Block
    from proj.cli.show import ShowResult
    from proj.kube.facts import JobFacts
    from proj.model import ArtifactInfo
    from proj.record import ImageRecord, SourceRecord

_LABEL = 13
_SHORT_ID = 8
_MAX_FILES = 12
_MAX_VALUE = 100


def show_blocks(shown: ShowResult) -> Iterator[Block]:
    """Yield the record: how it ended, what ran, where, then parameters, metrics, tags, files."""
    for label, value in _facts(shown):
        first, *more = [wording.harmless(line.expandtabs(4)) for line in value.splitlines()] or [""]
        yield f"{label:<{_LABEL}}{first}".rstrip()
        for line in more:
            yield f"{'':<{_LABEL}}{line}"
    run = shown.run
    yield from _table("PARAMETER", run.params)
    if shown.metrics:
        rows = tuple(
            (wording.one_line(metric.key), wording.number(metric.value), str(metric.step))
            for metric in shown.metrics
        )
        yield ""
        yield Table(
            columns=("METRIC", "LATEST", "STEP"), rows=rows, right_aligned=frozenset(("LATEST", "STEP"))
        )
    own = {key: value for key, value in run.tags.items() if not key.startswith(("mlflow.", "proj."))}
    yield from _table("TAG", own)
    if shown.children:
        yield ""
        children = tuple(
            (
                child.run_id[:_SHORT_ID],
                wording.one_line(child.run_name),
                child.status,
                child.entry_point or "",
            )
            for child in shown.children
        )
        yield Table(columns=("CHILD RUN", "NAME", "STATUS", "ENTRY POINT"), rows=children)
    if shown.artifacts:
        yield ""
        yield "ARTIFACTS"
        yield from artifact_tree(shown.artifacts)
    if shown.models:
        yield ""
        yield "MODELS"
    for model in shown.models:
        yield f"  {wording.one_line(model.name)}/  {model.model_id}  {model.status}"
        yield from (f"  {line}" for line in artifact_tree(model.files))


def _facts(shown: ShowResult) -> Iterator[tuple[str, str]]:
    run = shown.run
    yield "run", f"{run.run_id}  {run.run_name}{'  (deleted)' if shown.deleted else ''}"
    yield "experiment", run.experiment
    yield "status", _status(shown)
    if shown.message:
        yield "cause", shown.message
    yield "started", f"{wording.clock(run.started_ms)}  ({wording.ago(run.started_ms)})"
    if run.duration_s is not None:
        yield "took", wording.span(run.duration_s) + ("" if run.ended_ms is not None else " so far")
    yield "user", run.user
    yield from _source(shown)
    yield from _not_kept(shown.source)
    if run.entry_point:
        yield "entry point", run.entry_point
    if shown.command:
        yield "command", shown.command.line
        yield "folder", shown.command.cwd
        if shown.command.docker_args:
            given = (
                name if value is None else f"{name}={value}" for name, value in shown.command.docker_args
            )
            yield "docker run", " ".join(f"-A {each}" for each in given)
    if shown.environment:
        yield "environment", "\n".join((shown.environment.summary, *shown.environment.notes))
        if shown.environment.lock_digest:
            yield "lock", shown.environment.lock_digest
        if shown.environment.image:
            yield "image", _image(shown.environment.image)
    elif "proj.environment" in run.tags:
        yield "environment", run.tags["proj.environment"]
    yield from _where(shown)
    related = (("parent run", "mlflow.parentRunId"), ("reproduces", "proj.reproduces"))
    yield from ((label, run.tags[tag]) for label, tag in related if run.tags.get(tag))


def _where(shown: ShowResult) -> Iterator[tuple[str, str]]:
    if shown.job:
        yield "job", _job(shown.job)
    if shown.host:
        yield "host", _host(shown)


def _job(job: JobFacts) -> str:
    nodes = ", ".join(dict.fromkeys(pod.node for pod in job.pods if pod.node))
    warned = (f"{event.reason}: {event.message}" for event in job.events if event.type == "Warning")
    where = f"{job.job}, namespace {job.namespace}" + (f", node {nodes}" if nodes else "")
    return "\n".join((where, *dict.fromkeys(warned)))


def _image(image: ImageRecord) -> str:
    """What ran, by which it is told from any other; and what it was made on."""
    lines = [image.name]
    lines += [f"digest {image.digest}"] if image.digest else []
    lines += [f"id {image.image_id}"] if image.image_id else []
    if image.base:
        lines.append(f"made on {image.base}{f' ({image.base_digest})' if image.base_digest else ''}")
    elif image.made == "dockerfile":
        lines.append("made by the project's Dockerfile")
    return "\n".join(lines)


def _status(shown: ShowResult) -> str:
    run = shown.run
    told = [run.status]
    if run.failure:
        told.append(run.failure)
    if run.exit_code:
        told.append(f"exit code {run.exit_code}")
    if shown.outcome and shown.outcome.outcome.signal:
        told.append(shown.outcome.outcome.signal)
    if shown.outcome and shown.outcome.outcome.peak_memory_bytes:
        told.append(f"peak memory {wording.size(shown.outcome.outcome.peak_memory_bytes)}")
    return ", ".join(told)


def _source(shown: ShowResult) -> Iterator[tuple[str, str]]:
    if shown.run.source:
        yield "source", shown.run.source
    source = shown.source
    if source is None or source.commit is None:
        if shown.run.commit:
            yield "commit", shown.run.commit + (" with uncommitted changes" if shown.run.dirty else "")
        return
    if source.repository_url and source.repository_url != shown.run.source:
        yield "repository", source.repository_url
    yield "commit", source.commit + (f" ({source.branch})" if source.branch else "")
    if source.changed_files:
        hidden = len(source.changed_files) - _MAX_FILES
        files = list(source.changed_files[:_MAX_FILES])
        yield "changed", "\n".join([*files, *([f"… and {hidden} more"] if hidden > 0 else [])])


def _not_kept(source: SourceRecord | None) -> Iterator[tuple[str, str]]:
    """Files that ran, and that nobody gets back."""
    snapshot = source.snapshot if source is not None else None
    missed = [left for left in snapshot.left_out if left.missed] if snapshot is not None else []
    if missed:
        lines = [
            f"{each.path}: {'the run had to do without it' if each.absent else each.detail}"
            for each in missed[:_MAX_FILES]
        ]
        hidden = len(missed) - _MAX_FILES
        yield "not kept", "\n".join([*lines, *([f"… and {hidden} more"] if hidden > 0 else [])])


def _host(shown: ShowResult) -> str:
    host = shown.host
    if host is None:
        return ""
    parts = [host.hostname, host.distribution or host.system, f"{host.cpu_count} CPUs"]
    if host.memory_bytes:
        parts.append(wording.size(host.memory_bytes))
    parts += [gpu.name for gpu in host.gpus]
    return ", ".join(parts)


def _table(title: str, values: Mapping[str, str]) -> Iterator[Block]:
    if values:
        yield ""
        rows = tuple(
            (wording.one_line(key), wording.shortened(value, _MAX_VALUE)) for key, value in values.items()
        )
        yield Table(columns=(title, "VALUE"), rows=rows)


def artifact_tree(files: Iterable[ArtifactInfo]) -> Iterator[str]:
    """Yield a line for each file, and one for each folder above it, indented."""
    before: list[str] = []
    for file in files:
        *folders, name = file.path.split("/")
        common = 0
        while common < min(len(before), len(folders)) and before[common] == folders[common]:
            common += 1
        for depth in range(common, len(folders)):
            yield f"{'  ' * (depth + 1)}{wording.one_line(folders[depth])}/"
        before = folders
        told = "" if file.size_bytes is None else f"  {wording.size(file.size_bytes)}"
        yield f"{'  ' * (len(folders) + 1)}{wording.one_line(name)}{told}"
