from __future__ import annotations

import hashlib
import platform
from typing import TYPE_CHECKING

import pytest

from conda_kit import CondaPackage, make_channel, module_package
from index_server import IndexServer
from proj import archive, events, paths, process, record
from proj.archive import open_archive
from proj.environments.uv import uv_binary
from proj.environments.virtualenv import requirement_lines
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentFacts, NewRun, RunStatus
from proj.tracking import open_tracking
from projkit import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """An index on loopback, the only one that is configured."""
    folder = tmp_path / "index"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        (folder / f"tiny-{version}-py3-none-any.whl").write_bytes(wheel("tiny", version))
    server = IndexServer(folder, None)
    for variable in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_OFFLINE", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    yield server
    server.close()


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking(paths.home()) as opened:
        yield opened


def locked(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    file = 'url = "http://gone/tiny-1.0-py3-none-any.whl", hashes = { sha256 = "' + digest + '" }'
    head = 'lock-version = "1.0"\ncreated-by = "uv"\n\n'
    return f'{head}[[packages]]\nname = "tiny"\nversion = "1.0"\nwheels = [\n    {{ {file} }},\n]\n'


def run_with(
    tracking: Tracking, lock: str | None, *, python: str | None = None, system: str | None = None
) -> RunRecord:
    run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="locked", started_ms=1))
    facts = EnvironmentFacts(
        python_version=python or platform.python_version(), platform=system or platform.platform()
    )
    environment = record.EnvironmentRecord(
        kind="python", summary="python", python_requested=None, as_of_s=None,
        lock="proj/environment/pylock.toml" if lock else None, lock_digest=None, notes=(),
        facts=facts,
    )  # fmt: skip
    record.write(tracking.artifacts, run.artifact_uri, record.ENVIRONMENT, environment)
    if lock:
        tracking.artifacts.write(run.artifact_uri, "proj/environment/pylock.toml", lock.encode())
    tracking.runs.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=2)
    return tracking.runs.run(run.run_id)


def export(tracking: Tracking, run: RunRecord, target: Path) -> Path:
    options = archive.Options(packages=True, replace=True)
    archive.export(tracking, [run], target, options=options)
    return target


@pytest.mark.usefixtures("index")
def test_the_packages_of_the_lock_are_there_again(tracking: Tracking, tmp_path: Path) -> None:
    content = wheel("tiny", "1.0")
    run = run_with(tracking, locked(content))
    path = export(tracking, run, tmp_path / "run.zip")
    with open_archive(path) as opened:
        lock = opened.artifacts(run.run_id)["proj/environment/pylock.toml"]
        assert opened.read(lock).decode() == locked(content)
        folder = opened.packages(run.run_id, tmp_path / "packages")
    assert folder is not None
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "tiny-1.0-py3-none-any.whl": content
    }
    first = path.read_bytes()
    assert export(tracking, run, tmp_path / "again.zip").read_bytes() == first


@pytest.mark.usefixtures("index")
def test_they_are_installed_without_any_index(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(tracking, locked(wheel("tiny", "1.0")))
    with open_archive(export(tracking, run, tmp_path / "run.zip")) as opened:
        folder = opened.packages(run.run_id, tmp_path / "packages")
        lock = opened.read(opened.artifacts(run.run_id)["proj/environment/pylock.toml"])
    assert folder is not None
    lines, others = requirement_lines(lock.decode())
    assert not others
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    for name in ("PIP_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    target = tmp_path / "installed"
    process.run(
        [uv_binary(), "pip", "install", "--offline", "--no-index", "--find-links", folder.as_uri(),
         "--require-hashes", "--no-deps", "--target", str(target), "-r", str(tmp_path / "requirements.txt")]
    )  # fmt: skip
    assert "1.0" in (target / "tiny.py").read_text()


def test_a_package_that_was_exchanged_on_the_index_is_refused(
    tracking: Tracking, tmp_path: Path, index: IndexServer
) -> None:
    run = run_with(tracking, locked(wheel("tiny", "1.0")))
    (index.folder / "tiny-1.0-py3-none-any.whl").write_bytes(wheel("tiny", "1.0", padding_bytes=3))
    with pytest.raises(EnvironmentFailedError, match="cannot be downloaded") as caught:
        export(tracking, run, tmp_path / "run.zip")
    assert "hash" in " ".join(caught.value.details).lower()
    assert not (tmp_path / "run.zip").exists()


@pytest.mark.usefixtures("index")
def test_a_package_that_is_gone_is_said(tracking: Tracking, tmp_path: Path) -> None:
    run = run_with(tracking, locked(b"").replace('"tiny"', '"gone"'))
    with pytest.raises(EnvironmentFailedError, match="cannot be downloaded"):
        export(tracking, run, tmp_path / "run.zip")


def test_another_kind_of_machine_is_said(tracking: Tracking, tmp_path: Path) -> None:
    run = run_with(tracking, locked(b""), system="Linux-6.1-riscv64")
    with pytest.raises(EnvironmentFailedError, match="riscv64"):
        export(tracking, run, tmp_path / "run.zip")


def test_a_python_that_is_not_here_is_said(tracking: Tracking, tmp_path: Path) -> None:
    run = run_with(tracking, locked(b""), python="3.99.1")
    with pytest.raises(EnvironmentFailedError, match=r"3\.99\.1, which is not on this machine"):
        export(tracking, run, tmp_path / "run.zip")


def test_what_has_no_digest_is_said(tracking: Tracking, tmp_path: Path) -> None:
    lock = (
        'lock-version = "1.0"\n\n[[packages]]\nname = "x"\n'
        'vcs = { type = "git", url = "https://host/x", commit-id = "' + "0" * 40 + '" }\n'
    )
    with pytest.raises(EnvironmentFailedError, match="names what cannot be downloaded"):
        export(tracking, run_with(tracking, lock), tmp_path / "run.zip")


def test_what_is_in_the_code_needs_no_download(tracking: Tracking, tmp_path: Path) -> None:
    lock = (
        'lock-version = "1.0"\n\n[[packages]]\nname = "own"\ndirectory = { path = ".", editable = true }\n\n'
        '[[packages]]\nname = "tiny"\nversion = "1.0"\nwheels = [\n    { path = "wheels/tiny.whl", '
        'hashes = { sha256 = "' + "0" * 64 + '" } },\n]\n'
    )
    run = run_with(tracking, lock)
    said: list[str] = []
    with events.listening(lambda event: said.append(event.message)):
        path = export(tracking, run, tmp_path / "run.zip")
    assert any("2 packages" in message and "code is not" in message for message in said)
    with open_archive(path) as opened:
        assert opened.runs[0].packages == ()


def test_a_run_without_a_lock_is_exported_without(tracking: Tracking, tmp_path: Path) -> None:
    path = export(tracking, run_with(tracking, None), tmp_path / "run.zip")
    with open_archive(path) as opened:
        assert opened.runs[0].packages is None


@pytest.mark.parametrize("kind", ["conda", "container"])
def test_conda_packages_are_added(tracking: Tracking, tmp_path: Path, kind: str) -> None:
    """Also those of an image, and those whose names begin with an underscore."""
    packages = [CondaPackage(name="_made", suffix=".tar.bz2"), module_package("alpha", depends=())]
    channel = make_channel(tmp_path / "channel", packages)
    files = {package.file_name: channel / package.folder / package.file_name for package in packages}
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    lines = [f"{file.as_uri()}#sha256:{digests[name]}" for name, file in files.items()]
    lock = "\n".join(["# platform: linux-64", "@EXPLICIT", *lines, ""])
    run = run_with(tracking, None)
    environment = record.EnvironmentRecord(
        kind=kind, summary="x", python_requested=None, as_of_s=None, lock_digest=None, notes=(),
        lock="proj/environment/conda-linux-64.lock", facts=EnvironmentFacts(),
    )  # fmt: skip
    record.write(tracking.artifacts, run.artifact_uri, record.ENVIRONMENT, environment)
    tracking.artifacts.write(run.artifact_uri, environment.lock or "", lock.encode())
    with open_archive(export(tracking, run, tmp_path / "run.zip")) as opened:
        assert opened.runs[0].packages == tuple(sorted(files))
        folder = opened.packages(run.run_id, tmp_path / "packages")
        assert folder is not None
        assert {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        } == digests
