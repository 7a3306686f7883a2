"""What is done for the record of a run while its command runs."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING

from proj import events, process, record
from proj.environments import ENVIRONMENTS
from proj.errors import ProjError
from proj.model import HostRuntime, Metric
from proj.times import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from queue import SimpleQueue

    from proj.assignment import Assignment
    from proj.backends.base import MetricSink
    from proj.inputs import InputsRecord, Reading
    from proj.model import EnvironmentFacts
    from proj.recording import Recording
    from proj.tracking import Tracking

_METRIC_FLUSH_S = 1.0
_METRIC_BATCH = 500
_MOST_METRICS = 1_000_000
"""Of those that wait; a server that hangs is given up long before that, and they go into the journal."""
_FULL_S = 0.05
_FACTS_WAIT_S = 3.0
"""How long the end of a run waits for what is said of the machine (`nvidia-smi` may hang)."""


class Aside:
    """What is done for the record while the command runs; leaving the block waits for it.

    Args:
        assignment: The run.
        recording: Where it is recorded.
    """

    def __init__(self, assignment: Assignment, recording: Recording) -> None:
        self.metrics = MetricBuffer(
            recording.tracking, assignment.execution.run_id, lenient=recording.upstream is not None
        )
        self._assignment = assignment
        self._tracking = recording.tracking
        self._thread: threading.Thread | None = None
        self.tags: Mapping[str, str] = {}
        """What is to be said of the run if it ends well."""
        self.cut_short = False
        """Whether the run was stopped: then nobody is to wait for what is still being read."""
        self._facts: EnvironmentFacts | None = None
        self._inputs: Reading | None = None

    def gather_facts(self) -> None:
        """Begin to find out what is slow to find out."""
        # A thread begins without the listener of events.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=target, args=(self._find_facts,), name="proj-facts", daemon=True
        )
        self._thread.start()
        if self._assignment.has_inputs:
            self._inputs = _read_inputs(self._assignment, self._tracking)

    def _find_facts(self) -> None:
        self._facts = _write_facts(self._assignment, self._tracking)
        if self._facts is not None and not self._assignment.has_inputs:
            self.tags = _reuse_tags(self._assignment, self._tracking, self._facts)

    def __enter__(self) -> Aside:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        cut_short = self.cut_short or (kind is not None and not issubclass(kind, Exception))
        with process.deferred():
            if self._thread is not None:
                self._thread.join(_FACTS_WAIT_S)
                if self._thread.is_alive():
                    events.warning("The record is incomplete: this machine does not say what it is in time.")
            if self._inputs is not None:
                self._inputs.finish(0) if cut_short else self._inputs.finish()
            if self._facts is not None and self._assignment.has_inputs:
                self.tags = _reuse_tags(self._assignment, self._tracking, self._facts)
            self.metrics.flush()


def _read_inputs(assignment: Assignment, tracking: Tracking) -> Reading | None:
    """Begin to read the inputs that are too large to be read before the command starts, if there are any."""
    from proj import inputs

    uri, artifacts = assignment.record_uri, tracking.artifacts
    try:
        with artifacts.open(uri, record.INPUTS) as file:
            measured = inputs.read(file.read())
    except ProjError as error:
        events.warning(f"The record is incomplete: {error.message}")
        return None
    if not measured.pending:
        return None

    def write(completed: InputsRecord) -> None:
        try:
            record.write(artifacts, uri, record.INPUTS, completed)
        except ProjError as error:
            events.warning(f"The record is incomplete: {error.message}")

    return inputs.Reading(measured, write)


def _write_facts(assignment: Assignment, tracking: Tracking) -> EnvironmentFacts | None:
    """Find out what is slow to find out, while the command runs."""
    from proj import host

    try:
        facts = ENVIRONMENTS.load(assignment.environment).facts(assignment.prepared)
        write_environment(assignment, tracking, facts)
        runtime = assignment.prepared.runtime
        own = runtime.variables if isinstance(runtime, HostRuntime) else {}
        what = host.inspect({**own, **assignment.execution.variables})
        record.write(tracking.artifacts, assignment.record_uri, record.HOST, what)
    except ProjError as error:
        events.warning(f"The record is incomplete: {error.message}")
        return None
    return facts


def _reuse_tags(assignment: Assignment, tracking: Tracking, facts: EnvironmentFacts) -> dict[str, str]:
    """The digest by which a run of the same finds this one; none if not all of it is known."""
    from proj import reuse

    tree, origin = assignment.tags.get(record.TAG_TREE), assignment.execution.origin
    if tree is None or origin is None or not assignment.source_whole:
        return {}
    read = None
    try:
        if assignment.has_inputs:
            from proj import inputs

            with tracking.artifacts.open(assignment.record_uri, record.INPUTS) as file:
                read = inputs.read(file.read())
        known = reuse.parts(
            tree=tree,
            checkout=assignment.checkout,
            entry_point=origin.entry_point,
            line=assignment.execution.command.line,
            parameters=assignment.parameters,
            inputs=read,
            prepared=assignment.prepared,
            facts=facts,
            docker_args=assignment.execution.docker_args,
            large_files=assignment.large_files,
        )
    except ProjError:
        return {}
    return {record.TAG_REUSE: reuse.digest(known)}


def write_environment(assignment: Assignment, tracking: Tracking, facts: EnvironmentFacts) -> None:
    """Store `proj/environment.json`."""
    content = record.environment(assignment.prepared, facts)
    record.write(tracking.artifacts, assignment.record_uri, record.ENVIRONMENT, content)


class MetricBuffer:
    """Logs metrics that the program printed, in batches, at the latest after a second.

    A thread does so: whoever hands on what the program prints does not wait for a server.

    Args:
        tracking: The records.
        run_id: The run.
        lenient: Whether the run goes on where they are refused.
    """

    def __init__(self, tracking: Tracking, run_id: str, *, lenient: bool = False) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._lenient = lenient
        self._queue: SimpleQueue[Metric | None] | None = None
        self._thread: threading.Thread | None = None
        self._error: ProjError | None = None
        self._left: list[Metric] = []
        """What could not be logged; no more was tried after that."""

    def __call__(self, key: str, value: float, step: int) -> None:
        """See `MetricSink`. Where very many wait already, wait for some of them to be logged.

        Raises:
            ProjError: Earlier ones could not be logged.
        """
        if self._queue is None:
            self._queue = self._start()
        while self._error is None and self._queue.qsize() >= _MOST_METRICS:
            time.sleep(_FULL_S)
        self._queue.put(Metric(key=key, value=value, timestamp_ms=now_ms(), step=step))
        if self._error is not None:
            raise self._error

    def _start(self) -> SimpleQueue[Metric | None]:
        from queue import SimpleQueue  # few runs have a use for it

        waiting: SimpleQueue[Metric | None] = (
            SimpleQueue()
        )  # signals may raise anywhere, not within its calls
        target = contextvars.copy_context().run  # or it would be without the listener of events
        self._thread = threading.Thread(
            target=target, args=(self._work, waiting), name="proj-metrics", daemon=True
        )
        self._thread.start()
        return waiting

    def _work(self, waiting: SimpleQueue[Metric | None]) -> None:
        ended = False
        while not ended:
            batch, ended = _next_batch(waiting)
            try:
                self._log(batch)
            except ProjError as error:
                self._left, self._error = batch, error
                return

    def _log(self, batch: list[Metric]) -> None:
        if not batch:
            return
        try:
            self._tracking.runs.log(self._run_id, metrics=batch)
        except ProjError as error:
            if not self._lenient:
                raise
            events.warning(f"The record is incomplete: {error.message}")

    def flush(self) -> None:
        """Log what was collected; the end of it.

        Raises:
            ProjError: It cannot be logged, and it is not to go on without.
        """
        waiting, self._queue = self._queue, None
        if waiting is None or self._thread is None:
            return
        with process.deferred():
            waiting.put(None)
            self._thread.join()
            batch, ended = self._left, self._error is None
            while batch or not ended:
                self._log(batch)
                batch, ended = ([], True) if ended else _next_batch(waiting)


def _next_batch(waiting: SimpleQueue[Metric | None]) -> tuple[list[Metric], bool]:
    """Wait for metrics and take those that come within a second; says as well whether they are the last."""
    from queue import Empty

    batch: list[Metric] = []
    due_s: float | None = None
    while len(batch) < _METRIC_BATCH:
        try:
            metric = waiting.get(timeout=None if due_s is None else max(0.0, due_s - time.monotonic()))
        except Empty:
            return batch, False
        if metric is None:
            return batch, True
        batch.append(metric)
        due_s = due_s or time.monotonic() + _METRIC_FLUSH_S
    return batch, False


if TYPE_CHECKING:
    _sink: MetricSink = MetricBuffer.__new__(MetricBuffer)
