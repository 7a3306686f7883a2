"""The JSON documents of an archive: what it holds, and each run as it was recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec

from proj import record
from proj.archive.failures import DamagedError
from proj.model import Metric, RunStatus, Snapshot
from proj.tracking.inputs import RunInputs
from proj.tracking.logged_models import LoggedModelStatus, ModelMetric

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCAL_TAGS = frozenset({record.TAG_REUSE, record.TAG_CLAIM})
"""Tags that do not travel: they are believed, an archive may come from anybody, and no process where it is
imported looked after its runs."""

FORMAT = 1
"""Version of the archive: of its documents and of where files are in it."""

_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
RunId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
ModelId = Annotated[str, msgspec.Meta(pattern=r"^m-[0-9a-f]{32}\Z")]
_Bundle = Annotated[
    str,
    msgspec.Meta(pattern=r"^(source/[0-9a-f]{64}\.bundle|runs/[0-9a-f]{32}/artifacts/proj/source\.bundle)\Z"),
]
_Value = float | Literal["NaN", "Infinity", "-Infinity"]
"""JSON has no word for what is no finite number."""

T = TypeVar("T")


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """`proj-archive.json`."""

    format: int = FORMAT
    runs: Annotated[tuple[RunId, ...], msgspec.Meta(min_length=1)]
    """In the order in which they were asked for, each before its children."""


class Point(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A point of a metric: a line of `metrics.jsonl`."""

    key: str
    step: _Whole
    timestamp_ms: _Whole
    value: _Value
    dataset_name: str | None = None
    dataset_digest: str | None = None


class ModelPoint(Point, frozen=True, kw_only=True, omit_defaults=True):
    """A point that was measured on a logged model."""

    run_id: str


class ArchivedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run logged, MLflow 3's way; its files are below `models/<model_id>/`."""

    model_id: ModelId
    name: str
    status: LoggedModelStatus
    status_message: str | None
    model_type: str | None
    created_ms: _Milliseconds
    updated_ms: _Milliseconds
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: tuple[ModelPoint, ...]


class ArchivedSource(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a run, and whether the archive is enough to get it back."""

    snapshot: Snapshot
    bundle: _Bundle | None
    """The file in the archive that holds its git bundle; None where all has to come from the remote."""
    whole: bool
    """Whether the bundle is enough, without any remote."""
    why_not: str | None = None


class ArchivedRun(msgspec.Struct, frozen=True, kw_only=True):
    """`runs/<run_id>/run.json`."""

    format: int = FORMAT
    run_id: RunId
    name: str
    experiment: str
    """Its name: numbers of experiments differ from store to store."""
    user: str
    status: RunStatus
    """One that has ended."""
    started_ms: _Milliseconds
    ended_ms: _Milliseconds
    params: Mapping[str, str]
    tags: Mapping[str, str]
    inputs: RunInputs
    models: tuple[ArchivedModel, ...]
    source: ArchivedSource | None
    """None where the code was not kept."""
    packages: tuple[str, ...] | None = None
    """The files in `packages/` that its lock names; None where they are not in the archive."""


class _Versioned(msgspec.Struct, frozen=True):
    format: int


def encode(value: object) -> bytes:
    """A document as it is written: the same value is the same bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def decode(content: bytes, name: str, kind: type[T]) -> T:
    """Read a document.

    Args:
        content: Its bytes.
        name: Its name in the archive, for messages.
        kind: What it should be.

    Raises:
        DamagedError: It was written by a newer proj, or is nothing of the kind.
    """
    try:
        version = msgspec.json.decode(content, type=_Versioned).format
        if version != FORMAT:
            raise DamagedError(
                f"{name} has format {version}; this proj knows {FORMAT}.",
                hint="Upgrade proj." if version > FORMAT else None,
            )
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DamagedError(f"{name} cannot be understood: {error}") from error


def encode_points(points: Iterable[Metric]) -> bytes:
    """Metric points as `metrics.jsonl`, in an order that follows from them."""
    lines = [
        msgspec.json.encode(
            Point(
                key=point.key,
                step=point.step,
                timestamp_ms=point.timestamp_ms,
                value=_written(point.value),
                dataset_name=point.dataset_name,
                dataset_digest=point.dataset_digest,
            )
        )
        for point in sorted(points, key=_order)
    ]
    return b"".join(line + b"\n" for line in lines)


def decode_points(content: bytes, name: str) -> tuple[Metric, ...]:
    """Read `metrics.jsonl`.

    Raises:
        DamagedError: It is not what `encode_points` writes.
    """
    decoder = msgspec.json.Decoder(Point)
    try:
        return tuple(_metric(decoder.decode(line)) for line in content.splitlines())
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DamagedError(f"{name} cannot be understood: {error}") from error


def model_points(points: Iterable[ModelMetric]) -> tuple[ModelPoint, ...]:
    """Metric points of a logged model, in an order that follows from them."""
    return tuple(
        ModelPoint(
            key=each.metric.key,
            step=each.metric.step,
            timestamp_ms=each.metric.timestamp_ms,
            value=_written(each.metric.value),
            dataset_name=each.metric.dataset_name,
            dataset_digest=each.metric.dataset_digest,
            run_id=each.run_id,
        )
        for each in sorted(points, key=lambda each: (_order(each.metric), each.run_id))
    )


def model_metrics(model: ArchivedModel) -> tuple[ModelMetric, ...]:
    """The metric points of a logged model, as a store takes them."""
    return tuple(
        ModelMetric(
            metric=msgspec.structs.replace(_metric(point), model_id=model.model_id), run_id=point.run_id
        )
        for point in model.metrics
    )


def _written(value: float) -> _Value:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _metric(point: Point) -> Metric:
    return Metric(
        key=point.key,
        value=float(point.value),
        timestamp_ms=point.timestamp_ms,
        step=point.step,
        dataset_name=point.dataset_name,
        dataset_digest=point.dataset_digest,
    )


def _order(point: Metric) -> tuple[str, int, int, str, str, str]:
    return (
        point.key,
        point.step,
        point.timestamp_ms,
        point.value.hex(),  # NaN has no place among numbers
        point.dataset_name or "",
        point.dataset_digest or "",
    )
