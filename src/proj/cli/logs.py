"""`proj logs`."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

import click

from proj import active, paths, record
from proj.cli import complete, reading
from proj.cli.options import tracking_option
from proj.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.afar import Onlooker
    from proj.model import RunRecord
    from proj.tracking import Tracking

_CHUNK_BYTES = 1 << 16
_FOLLOW_S = 0.1
_FOLLOW_SERVER_S = 2.0


@click.command()
@click.argument("run", shell_complete=complete.run_ids)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option("--stdout", "only", flag_value="stdout", help="Only what it wrote to standard output.")
@click.option("--stderr", "only", flag_value="stderr", help="Only what it wrote to standard error.")
@tracking_option
def command(run: str, follow: bool, only: str | None) -> None:
    """Print what RUN wrote, byte for byte: its stdout to stdout, its stderr to stderr."""
    with reading.opened() as tracking:
        found = tracking.runs.find_run(run)
        streams = {"stdout": (record.STDOUT, sys.stdout.buffer), "stderr": (record.STDERR, sys.stderr.buffer)}
        chosen = [stream for name, stream in streams.items() if only in (None, name)]
        with contextlib.ExitStack() as stack:
            onlooker = _onlooker(found, tracking) if follow else None
            if onlooker is not None:
                stack.enter_context(onlooker)
                onlooker.follow()
            copies = [_copier(tracking, found, path, sink, onlooker) for path, sink in chosen]
            while True:
                # Asked before copying: what was written before the end is copied after we know of the end.
                under_way = follow and _under_way(found, tracking, onlooker)
                for copy in copies:
                    copy()
                if not under_way:
                    return
                time.sleep(_FOLLOW_S if _is_at_hand(found, tracking, onlooker) else _FOLLOW_SERVER_S)


def _onlooker(run: RunRecord, tracking: Tracking) -> Onlooker | None:
    """What follows a run of another machine where it runs, if that is possible."""
    if record.TAG_REFERENCE not in run.tags:
        return None
    from proj.afar import looking_on

    return looking_on(tracking, run)


def _under_way(run: RunRecord, tracking: Tracking, onlooker: Onlooker | None) -> bool:
    claim = run.tags.get(record.TAG_CLAIM)
    if onlooker is not None:
        if not onlooker.look().status.finished:
            return True
        onlooker.settle()
        return False
    if run.status.finished or claim is None:
        return False
    here = tracking.uri.startswith("file:") or active.find(paths.home(), claim) is not None
    if here and active.wait(paths.home(), claim, timeout_s=0):
        return False
    return not tracking.runs.run(run.run_id).status.finished


def _is_at_hand(run: RunRecord, tracking: Tracking, onlooker: Onlooker | None) -> bool:
    """Whether the run's files are on this machine as they come: what is on a server is behind them."""
    return tracking.workspace(run).is_dir() or (onlooker is not None and onlooker.uri is not None)


def _copier(
    tracking: Tracking, run: RunRecord, path: str, sink: BinaryIO, onlooker: Onlooker | None
) -> Callable[[], None]:
    """Return a function that copies what has come to a log since it was last called."""
    offset = 0

    def copy() -> None:
        nonlocal offset
        at_hand = _is_at_hand(run, tracking, onlooker)
        if not at_hand and _size(tracking, run, path) <= offset:
            return
        uri = onlooker.uri if onlooker is not None else None
        uri = uri or (tracking.record_uri(run) if at_hand else run.artifact_uri)
        try:
            source = tracking.artifacts.open(uri, path)
        except NotFoundError:
            return  # nothing was written yet
        with source:
            _skip(source, offset)
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)
                offset += len(chunk)
        sink.flush()

    return copy


def _size(tracking: Tracking, run: RunRecord, path: str) -> int:
    entries = tracking.artifacts.list(run.artifact_uri, path.rpartition("/")[0])
    return next((entry.size_bytes or 0 for entry in entries if entry.path == path), 0)


def _skip(source: BinaryIO, count: int) -> None:
    if source.seekable():
        source.seek(count)
        return
    while count and (chunk := source.read(min(count, _CHUNK_BYTES))):
        count -= len(chunk)
