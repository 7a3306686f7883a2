from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environment_kit import age
from proj import paths
from proj.environments.cache import in_use, mark_used
from proj.environments.inventory import find_environment, list_environments, prune
from proj.environments.python import PythonEnvironment
from proj.environments.verify import verify
from proj.errors import EnvironmentFailedError, UsageError
from proj.model import HostRuntime, PreparedEnvironment

if TYPE_CHECKING:
    from environment_kit import RequestMaker

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def prepared(project: Path, request_for: RequestMaker) -> PreparedEnvironment:
    (project / "requirements.txt").write_text("alpha\n")
    return PythonEnvironment().prepare(request_for(project))


def test_what_the_list_tells(prepared: PreparedEnvironment, project: Path) -> None:
    (info,) = list_environments()
    assert info.complete
    assert not info.orphaned
    assert (info.kind, info.origin, info.manager) == ("python", "requirements.txt", "uv")
    assert (info.project_dir, info.directory) == (str(project), str(prepared.directory))
    assert (info.packages, info.runs) == (5, ())
    assert info.size_bytes > 0
    assert info.lock_digest == prepared.lock_digest


def test_uses_are_remembered(prepared: PreparedEnvironment) -> None:
    age(prepared, 1000)
    with in_use(prepared, RUN):
        pass
    mark_used(prepared, "f" * 32)
    (info,) = list_environments()
    assert info.runs == (RUN, "f" * 32)
    assert time.time() - info.last_used_s < 100


def test_an_environment_is_found_by_a_prefix(prepared: PreparedEnvironment) -> None:
    key = list_environments()[0].key
    assert find_environment(key[:6]).key == key
    with pytest.raises(UsageError, match="no environment"):
        find_environment("zz")


def test_prune_by_age(prepared: PreparedEnvironment) -> None:
    age(prepared, 1000)
    assert not prune(older_than_s=2000).removed
    dry = prune(older_than_s=500, dry_run=True)
    assert len(dry.removed) == 1
    assert dry.freed_bytes > 0
    assert prepared.directory is not None
    assert prepared.directory.exists()
    assert len(prune(older_than_s=500).removed) == 1
    assert list_environments() == ()


def test_prune_by_size_keeps_what_was_used_last(project: Path, request_for: RequestMaker) -> None:
    made = []
    for name, seconds in (("alpha", 3000), ("beta", 2000)):
        (project / "requirements.txt").write_text(f"{name}\n")
        made.append(PythonEnvironment().prepare(request_for(project)))
        age(made[-1], seconds)
    newest = list_environments()[0]
    assert newest.directory == str(made[1].directory)
    prune(max_size_bytes=newest.size_bytes)
    assert [info.key for info in list_environments()] == [newest.key]


def test_prune_spares_what_is_in_use(prepared: PreparedEnvironment) -> None:
    age(prepared, 1000)
    with in_use(prepared, RUN):
        result = prune(everything=True)
        assert (len(result.removed), len(result.in_use)) == (0, 1)
    assert len(prune(everything=True).removed) == 1


def test_prune_spares_what_was_just_prepared(prepared: PreparedEnvironment) -> None:
    assert len(prune(older_than_s=0).removed) == 0
    assert len(prune(everything=True).removed) == 1


def test_prune_removes_what_nothing_can_use(
    prepared: PreparedEnvironment, local_package: Path, project: Path, request_for: RequestMaker
) -> None:
    assert prepared.directory is not None
    (prepared.directory.parent / "complete").unlink()
    (project / "requirements.txt").write_text(f"-e {local_package}\n")
    age(PythonEnvironment().prepare(request_for(project)), 1000)
    local_package.rename(local_package.with_name("moved"))
    assert {(info.complete, info.orphaned) for info in list_environments()} == {(False, False), (True, True)}
    assert len(prune().removed) == 2


def test_a_pruned_environment_is_not_used(prepared: PreparedEnvironment) -> None:
    prune(everything=True)
    with pytest.raises(EnvironmentFailedError, match="removed while"), in_use(prepared, RUN):
        pytest.fail("entered")


@pytest.mark.parametrize("content", ['{"format": 2, "novelty": 1}', None])
def test_an_environment_of_a_newer_version_is_named_and_left_alone(
    prepared: PreparedEnvironment, project: Path, request_for: RequestMaker, content: str | None,
    heard: list[str],
) -> None:  # fmt: skip
    assert prepared.directory is not None
    marker = prepared.directory.parent / "complete"
    marker.write_text(content or marker.read_text().replace('"format":1,', '"format":2,'))
    for action in (
        lambda: PythonEnvironment().plan(request_for(project)),
        lambda: PythonEnvironment().prepare(request_for(project)),
        lambda: find_environment(marker.parent.name),
    ):
        with pytest.raises(EnvironmentFailedError, match="newer proj") as caught:
            action()
        assert str(marker.parent) in caught.value.message
    assert list_environments() == ()
    assert not prune(everything=True).removed
    assert prepared.directory.exists()
    assert any(line.startswith(f"warning: Left alone: The environment {marker.parent}") for line in heard)


def test_environments_outside_of_the_cache_need_no_holding() -> None:
    with in_use(PreparedEnvironment(kind="system", summary="x", runtime=HostRuntime()), RUN):
        mark_used(PreparedEnvironment(kind="x", summary="x", runtime=HostRuntime(), directory=Path("/")), RUN)
    assert list_environments() == ()


def test_verify_finds_what_was_changed(prepared: PreparedEnvironment) -> None:
    (info,) = list_environments()
    assert verify(info) == ()
    assert prepared.directory is not None
    (site,) = prepared.directory.glob("lib/python3*/site-packages")
    record = site / "alpha-2.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("alpha.py,,", f"alpha.py,sha256={'A' * 43},"))
    (site / "beta.py").unlink()
    (site / "wheel-0.40.dist-info").rename(site / "wheel-0.41.dist-info")
    (site / "setuptools-65.0.dist-info").rename(site / "extra-1.dist-info")
    problems = "\n".join(verify(info))
    for expected in (
        "alpha.py was changed", "beta.py is gone", "wheel 0.41 is installed, the lock says 0.40",
        "setuptools is in the lock but not installed", "extra is installed but not in the lock",
    ):  # fmt: skip
        assert expected in problems
    (prepared.directory.parent / "complete").unlink()
    assert "incomplete" in verify(info)[0]


PREPARE = """
import sys
from pathlib import Path
from proj.environments.python import PythonEnvironment
from proj.model import EnvironmentRequest
folder = Path(sys.argv[1])
prepared = PythonEnvironment().prepare(EnvironmentRequest(project_dir=folder, root=folder))
print(prepared.directory, prepared.reused)
"""


def test_many_processes_build_once(project: Path) -> None:
    import subprocess  # noqa: TID251  several at once, which proj.process.run does not do

    (project / "requirements.txt").write_text("alpha\n")
    processes = [
        subprocess.Popen([sys.executable, "-c", PREPARE, str(project)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert len({directory for directory, _ in answers}) == 1
    assert [reused for _, reused in answers].count("False") == 1


STATES = {
    "begun": "*/????????",
    "with a python": "*/????????/bin/python",
    "with packages": "*/????????/lib/python3*/site-packages/*.dist-info",
}


def wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 60
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"no {pattern} appeared"
        time.sleep(0.005)


@pytest.mark.parametrize("state", ["begun", "with a python", "with packages"])
def test_a_killed_build_is_never_used(project: Path, request_for: RequestMaker, state: str) -> None:
    import subprocess  # noqa: TID251  to be killed half-way

    (project / "requirements.txt").write_text("alpha\n")
    with subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(project)], stdout=subprocess.DEVNULL
    ) as process:
        wait_for(paths.cache() / "environments", STATES[state])
        os.kill(process.pid, signal.SIGKILL)
    prepared = PythonEnvironment().prepare(request_for(project))
    assert verify(find_environment("")) == ()
    assert prepared.directory is not None
    assert [item.name for item in prepared.directory.parent.iterdir() if item.is_dir()] == [
        prepared.directory.name
    ]


def test_a_cache_that_cannot_be_written(
    project: Path, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROJ_CACHE", str(tmp_path / "file"))
    (project / "requirements.txt").write_text("alpha\n")
    with pytest.raises(EnvironmentFailedError, match="Cannot write") as caught:
        PythonEnvironment().prepare(request_for(project))
    assert "PROJ_CACHE" in (caught.value.hint or "")
    assert paths.cache() == tmp_path / "file"
