"""Facts of runs that never were, to compare."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec

from proj.compare import RunFacts, Settings, compare
from proj.compare.facts import SourceFacts
from proj.compare.locks import PackageFacts
from proj.errors import NotFoundError
from proj.host import Host
from proj.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from proj.compare import Comparison, Row

HOST = Host(
    hostname="h", system="Linux", kernel="6.1", distribution="Debian 12", machine="x86_64",
    cpu_model="EPYC", cpu_count=2, memory_bytes=1 << 30, libc="glibc 2.36", cpu_flags=("avx2", "fma"),
    variables={"PYTHONHASHSEED": "0"},
)  # fmt: skip


class Kept:
    """Series and files that are in memory."""

    def __init__(
        self,
        series: Mapping[str, tuple[tuple[int, float], ...]] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._series = series or {}
        self._files = files or {}

    def series(self, key: str) -> tuple[tuple[int, float], ...]:
        return self._series.get(key, ())

    def open(self, path: str) -> BinaryIO:
        if path not in self._files:
            raise NotFoundError(f"There is no artifact {path!r}.")
        return io.BytesIO(self._files[path])


def facts(
    *,
    run_id: str = "a" * 32,
    files: Mapping[str, bytes] | None = None,
    series: Mapping[str, tuple[tuple[int, float], ...]] | None = None,
    **changes: Any,
) -> RunFacts:
    """A run of which all is known, but for what is given otherwise."""
    known = files or {}
    whole = RunFacts(
        run_id=run_id,
        run_name="bold-moon-1",
        status="FINISHED",
        evidence=Kept(series, known),
        exit_code=0,
        source=SourceFacts(uri="/p", kind="local", commit="1" * 40, dirty=False),
        packages={"numpy": PackageFacts(version="2.0", files="f1"), "six": PackageFacts(version="1.0")},
        lock_digest="sha256:l",
        python="CPython 3.11.7",
        platform="Linux",
        libraries={"openblas": "0.3.29"},
        image="sha256:i",
        host=HOST,
        variables={"PYTHONHASHSEED": "0"},
        backend="kubernetes",
        backend_settings={"namespace": "a", "cpu": "2"},
        command="python train.py 0.1 {data}",
        variables_set=("PROJ_RUN_ID",),
        params={"lr": "0.1", "data": "d", "seen": "3"},
        given=frozenset({"lr", "data"}),
        inputs={"data": Input(parameter="data", path="/d", kind="file", digest="sha256:d")},
        metrics={key: values[-1][1] for key, values in (series or {}).items()},
        artifacts={path: len(content) for path, content in known.items() if not path.startswith("proj/")},
    )
    return msgspec.structs.replace(whole, **changes)


def unlike(left: RunFacts, right: RunFacts, settings: Settings | None = None) -> dict[str, Row]:
    """`group/item` -> row of all that is not the same."""
    return not_same(compare(left, right, settings))


def not_same(comparison: Comparison) -> dict[str, Row]:
    """The same of a comparison."""
    return {f"{row.group}/{row.item}": row for row in comparison.rows if row.status.value != "same"}
