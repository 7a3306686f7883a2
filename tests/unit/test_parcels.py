"""Code that is fetched from a run's artifacts while the run goes on."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

import pytest

from proj import parcels, paths
from proj.errors import DetachedError, NotFoundError
from proj.record import PARCEL
from proj.testing.backends import execution_maker
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proj.model import Execution
    from proj.tracking.store import ArtifactStore


@pytest.fixture
def artifacts() -> Iterator[ArtifactStore]:
    with contextlib.closing(open_tracking(paths.home())) as tracking:
        yield tracking.artifacts


def packing(content: bytes | None) -> Callable[[Execution, Path], Path | None]:
    def pack(_execution: Execution, folder: Path) -> Path | None:
        if content is None:
            return None
        (folder / "code.tar.gz").write_bytes(content)
        return folder / "code.tar.gz"

    return pack


def test_a_parcel_is_there_for_as_long_as_the_run_goes_on(tmp_path: Path, artifacts: ArtifactStore) -> None:
    uri = (tmp_path / "artifacts").as_uri()
    execution = execution_maker(tmp_path)("true")
    with parcels.kept(execution, packing(b"code"), artifacts, uri) as sent:
        assert sent.parcel is not None
        assert sent.parcel.sha256 == hashlib.sha256(b"code").hexdigest()
        with artifacts.open(uri, sent.parcel.path) as file:
            assert file.read() == b"code"
    with pytest.raises(NotFoundError):
        artifacts.open(uri, PARCEL)


@pytest.mark.parametrize(("error", "stays"), [(DetachedError("", run_id="a"), True), (ValueError(), False)])
def test_what_is_let_go_of_may_still_fetch_it(
    tmp_path: Path, artifacts: ArtifactStore, error: Exception, stays: bool
) -> None:
    uri = (tmp_path / "artifacts").as_uri()
    execution = execution_maker(tmp_path)("true")
    with pytest.raises(type(error)), parcels.kept(execution, packing(b"code"), artifacts, uri):
        raise error
    assert bool(artifacts.list(uri, "proj")) == stays


def test_small_code_is_not_kept(tmp_path: Path, artifacts: ArtifactStore) -> None:
    uri = (tmp_path / "artifacts").as_uri()
    execution = execution_maker(tmp_path)("true")
    with parcels.kept(execution, packing(None), artifacts, uri) as sent:
        assert sent == execution
        assert not artifacts.list(uri, "proj")
