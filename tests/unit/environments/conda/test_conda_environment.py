from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conda_kit import CondaPackage, make_channel, write_package
from environment_kit import installed
from proj import paths
from proj.environments.cache import root
from proj.environments.conda.declared import read_project
from proj.environments.conda.environment import CondaEnvironment
from proj.environments.conda.linking import link
from proj.environments.conda.lock import parse_lock, solve
from proj.environments.inventory import find_environment, list_environments
from proj.environments.shipping import write_lock
from proj.environments.verify import verify
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentRequest, HostRuntime, LockMode, PreparedEnvironment
from proj.process import run
from proj.testing.environments import EnvironmentContract

if TYPE_CHECKING:
    from environment_kit import RequestMaker
    from proj.environments.base import Environment
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()
DAY_2021_NOON = 1614859200


def said(prepared: PreparedEnvironment, line: str) -> str:
    assert isinstance(prepared.runtime, HostRuntime)
    path = os.pathsep.join((*prepared.runtime.path, os.environ["PATH"]))
    return run(["sh", "-c", line], env={**prepared.runtime.variables, "PATH": path}).stdout.strip()


class TestContract(EnvironmentContract):
    @pytest.fixture
    def environment(self) -> Environment:
        return ENVIRONMENT

    @pytest.fixture
    def environment_request(self, conda_project: CondaProjectMaker) -> EnvironmentRequest:
        folder = conda_project("python=3.9", "needs-new-alpha")
        return EnvironmentRequest(project_dir=folder, root=folder)

    @pytest.fixture
    def impossible_request(self, conda_project: CondaProjectMaker) -> EnvironmentRequest:
        folder = conda_project("python=2.7")
        return EnvironmentRequest(project_dir=folder, root=folder)


def test_what_is_made(conda_project: CondaProjectMaker, request_for: RequestMaker, heard: list[str]) -> None:
    folder = conda_project("python=3.9", "needs-old-alpha", "tool", tail="variables: {GREETING: hello}\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert installed(ENVIRONMENT, prepared) == {
        "python": "3.9.18",
        "needs-old-alpha": "1.0",
        "alpha": "1.0",
        "tool": "1.0",
    }
    assert prepared.python_version == "3.9.18"
    assert prepared.python_requested == "3.9.*"
    assert prepared.summary == "conda packages from conda.yaml"
    assert said(prepared, "python") == f"tiny python in {prepared.directory}"
    assert said(prepared, "tool") == str(prepared.directory), "paths in text are those of the environment"
    binary = (prepared.directory or Path()).joinpath("lib", "tool.bin").read_bytes()
    assert f"{prepared.directory}/share\0".encode() in binary
    assert len(binary) == len(
        (root().parent / "conda" / "packages" / "tool-1.0-0" / "lib" / "tool.bin").read_bytes()
    )
    assert "step: Solving 3 packages of conda.yaml for linux-64" in heard
    assert "step: Installing 4 packages of conda.yaml for linux-64" in heard


def test_activation(
    conda_project: CondaProjectMaker, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_UNWANTED", "1")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    folder = conda_project("tool", tail="variables: {GREETING: hello, EMPTY: ''}\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert isinstance(prepared.runtime, HostRuntime)
    variables = prepared.runtime.variables
    assert variables["CONDA_PREFIX"] == str(prepared.directory)
    assert variables["TOOL_HOME"] == f"{prepared.directory}/share"
    assert variables["TOOL_MODE"] == "fast"
    assert variables["GREETING"] == "hello", "the project's variables come after those of packages"
    assert variables["TOOL_UNWANTED"] is None
    assert variables["VIRTUAL_ENV"] is None
    assert not {"SHLVL", "PWD", "_"} & set(variables)
    assert prepared.runtime.path == (f"{prepared.directory}/extra", f"{prepared.directory}/bin")


def test_the_callers_own_conda_environment_is_left(
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, below = tmp_path / "base", tmp_path / "below"
    for prefix in (base, below):
        (prefix / "conda-meta").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{base}/bin:{base}/condabin:{below}/bin/:{os.environ['PATH']}")
    left = {
        "CONDA_PREFIX_1": str(below), "CONDA_STACKED_2": "true", "_CE_CONDA": "", "_CE_M": "",
        "GDAL_DATA": f"{base}/share/gdal",
    }  # fmt: skip
    kept = {"CONDA_EXE": f"{base}/bin/conda", "DATA": "/data", "PROJ_X": f"{base}/x", "NEAR": f"{base}-2/x"}
    for name, value in {"CONDA_PREFIX": str(base), "CONDA_SHLVL": "2", **left, **kept}.items():
        monkeypatch.setenv(name, value)
    for package in ("alpha", "tool"):  # the second one with a script
        prepared = ENVIRONMENT.prepare(request_for(conda_project(package)))
        runtime = prepared.runtime
        assert isinstance(runtime, HostRuntime)
        assert {name: runtime.variables.get(name, "") for name in left} == dict.fromkeys(left)
        assert not set(kept) & set(runtime.variables)
        assert runtime.variables["CONDA_PREFIX"] == str(prepared.directory)
        assert set(runtime.hidden) == {f"{base}/bin", f"{below}/bin"}
        assert not any(str(base) in folder for folder in runtime.path)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("echo the reason >&2; exit 3", "the reason"), ("exit 3", "exit code 3"), ("set -eu; false", "code 1"),
     ("set -u; : $NOT_SET", "NOT_SET: unbound variable")],
)  # fmt: skip
def test_a_script_that_ends_its_shell_is_told_and_recorded(
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    tmp_path: Path,
    heard: list[str],
    ending: str,
    reason: str,
) -> None:
    bad = f"export BEFORE=1\n{ending}\nexport AFTER=1\n"
    scripts = {"a.sh": "export FIRST=1\n", "bad.sh": bad, "z.sh": 'false\nexport LAST="$FIRST$BEFORE"\n'}
    package = CondaPackage(
        name="bad", files={f"etc/conda/activate.d/{name}": text for name, text in scripts.items()}
    )
    channel = make_channel(tmp_path / "channel", [package])
    folder = conda_project("bad", head=f"channels: [{channel.as_uri()}, nodefaults]\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert isinstance(prepared.runtime, HostRuntime)
    assert prepared.runtime.path == (f"{prepared.directory}/bin",)
    variables = prepared.runtime.variables
    names = ("FIRST", "BEFORE", "AFTER", "LAST", "PROJ_ACTIVATION")
    assert {name: variables[name] for name in names if name in variables} == {
        "FIRST": "1", "BEFORE": "1", "LAST": "11",
    }  # fmt: skip
    told = "The activation script bad.sh of the conda environment ended its shell: "
    for lines in (heard, prepared.notes):
        assert [line for line in lines if told in line and reason in line]


def test_what_scripts_say_is_told(
    conda_project: CondaProjectMaker, request_for: RequestMaker, tmp_path: Path, heard: list[str]
) -> None:
    package = CondaPackage(
        name="talks", files={"etc/conda/activate.d/t.sh": "echo noise\necho mind this >&2\nset -e\n"}
    )
    channel = make_channel(tmp_path / "channel", [package])
    folder = conda_project("talks", head=f"channels: [{channel.as_uri()}, nodefaults]\n")
    ENVIRONMENT.prepare(request_for(folder))
    (told,) = [line for line in heard if "mind this" in line]
    assert "noise" not in told
    assert "ended its shell" not in told


def test_a_warm_environment_starts_no_process(
    conda_project: CondaProjectMaker, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = conda_project("python=3.9", "alpha")
    ENVIRONMENT.prepare(request_for(folder))
    monkeypatch.setattr("proj.process.run", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setattr(
        "proj.environments.conda.service.run", lambda *_, **__: pytest.fail("rattler was asked")
    )
    assert ENVIRONMENT.prepare(request_for(folder)).reused


def test_packages_are_hard_links(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    prepared = ENVIRONMENT.prepare(request_for(conda_project("python=3.9")))
    assert ((prepared.directory or Path()) / "bin" / "python").stat().st_nlink > 1


# --- locks ------------------------------------------------------------------------------------------------


def test_the_lock_is_an_explicit_list(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> None:
    prepared = ENVIRONMENT.prepare(request_for(conda_project("needs-old-alpha", "tool")))
    text = (prepared.lock or b"").decode()
    assert prepared.lock_name == "conda-linux-64.lock"
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[0] == "@EXPLICIT"
    assert all(re.fullmatch(rf"{channel.as_uri()}/\S+#sha256:[0-9a-f]{{64}}", line) for line in lines[1:])
    assert len(lines) == 5
    lock = parse_lock(text, origin="x", platform="linux-64", shipped=False)
    assert lock.text() == text
    assert lock.digest == prepared.lock_digest
    files = [locked.url.rpartition("/")[2] for locked in lock.packages]
    assert files.index("alpha-1.0-py_0.conda") < files.index("needs-old-alpha-1.0-py_0.conda"), (
        "needs come first"
    )


def test_the_date_decides(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    folder = conda_project("python=3.9", "alpha", "undated")
    then = ENVIRONMENT.prepare(request_for(folder, as_of_s=DAY_2021_NOON))
    assert installed(ENVIRONMENT, then)["alpha"] == "1.0"
    assert then.as_of_s == DAY_2021_NOON
    assert any("No build date is known of undated" in note for note in then.notes)
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder)))["alpha"] == "2.0"
    folder = conda_project("alpha=2.0")
    with pytest.raises(EnvironmentFailedError, match=r"conda\.yaml for linux-64") as caught:
        ENVIRONMENT.prepare(request_for(folder, as_of_s=DAY_2021_NOON))
    assert "--as-of now" in (caught.value.hint or "")


def test_a_recorded_lock_is_used_whatever_the_project_says(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    first = ENVIRONMENT.prepare(request_for(conda_project("alpha<2", "python=3.9")))
    folder = conda_project("alpha", "tool")
    again = ENVIRONMENT.prepare(request_for(folder, lock=first.lock))
    assert again.reused
    assert again.directory == first.directory
    foreign = (first.lock or b"").replace(b"linux-64", b"win-64")
    with pytest.raises(EnvironmentFailedError, match=r"is for win-64, not for linux-64"):
        ENVIRONMENT.prepare(request_for(folder, lock=foreign))


def test_a_lock_is_kept_until_upgrade(
    tmp_path: Path, conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    channel = make_channel(tmp_path / "channel", [CondaPackage(name="one", version="1.0")])
    folder = conda_project("one", head=f"channels: [{channel.as_uri()}, nodefaults]\n")
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder))) == {"one": "1.0"}
    make_channel(channel, [CondaPackage(name="one", version="2.0")])
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder))) == {"one": "1.0"}
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder, mode=LockMode.UPGRADE))) == {
        "one": "2.0"
    }
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder))) == {"one": "2.0"}


def test_a_lock_that_the_project_ships(
    conda_project: CondaProjectMaker, request_for: RequestMaker, heard: list[str]
) -> None:
    folder = conda_project("alpha<2", "python=3.9")
    for mode in (LockMode.LOCKED, LockMode.FROZEN):
        with pytest.raises(EnvironmentFailedError, match="ships no lock"):
            ENVIRONMENT.prepare(request_for(folder, mode=mode))
    lock = ENVIRONMENT.prepare(request_for(folder)).lock or b""
    (folder / "conda-linux-64.lock").write_bytes(lock)
    assert ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED)).lock == lock
    conda_project("alpha", "python=3.9")
    with pytest.raises(EnvironmentFailedError, match=r"older than conda\.yaml"):
        ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))
    assert (
        installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder, mode=LockMode.FROZEN)))["alpha"]
        == "1.0"
    )
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder)))["alpha"] == "1.0"
    assert any("was made before conda.yaml was changed" in line for line in heard)


def test_an_explicit_list_of_another_tool(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> None:
    md5 = json.loads((channel / "noarch" / "repodata.json").read_bytes())["packages.conda"][
        "alpha-1.0-py_0.conda"
    ]["md5"]
    python = f"{channel.as_uri()}/linux-64/python-3.9.7-h1_0.conda"
    folder = conda_project("alpha", "python=3.9")
    list_ = folder / "conda-linux-64.lock"
    digest = hashlib.sha256((channel / "linux-64" / "python-3.9.7-h1_0.conda").read_bytes()).hexdigest()
    list_.write_text(
        f"# made by hand\n@EXPLICIT\n{python}#sha256:{digest}\n"
        f"{channel.as_uri()}/noarch/alpha-1.0-py_0.conda#{md5}\n"
    )
    prepared = ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))
    assert installed(ENVIRONMENT, prepared) == {"alpha": "1.0", "python": "3.9.7"}
    conda_project("alpha>=2", "python=3.9")
    with pytest.raises(EnvironmentFailedError, match="nothing in it meets"):
        ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))
    list_.write_text("@EXPLICIT\nhttps://user:pa55word@host/what?\n")
    with pytest.raises(EnvironmentFailedError, match=r"conda-linux-64\.lock:2: not the URL") as caught:
        ENVIRONMENT.prepare(request_for(folder))
    assert "pa55word" not in caught.value.message


def test_a_lock_of_a_file_with_no_more_than_python(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    """What `proj env lock` writes is found by who asks for it."""
    folder = conda_project("python=3.9", "pip")
    written = write_lock(request_for(folder, manager="conda"))
    assert written.path == str(folder / "conda-linux-64.lock")
    prepared = ENVIRONMENT.prepare(request_for(folder, manager="conda", mode=LockMode.LOCKED))
    assert prepared.lock == (folder / "conda-linux-64.lock").read_bytes()


def conda_lock(channel: Path, *files: str) -> str:
    entries = ""
    for file in files:
        subdir, _, name = file.partition("/")
        record = json.loads((channel / subdir / "repodata.json").read_bytes())["packages.conda"][name]
        entry = {
            "name": record["name"], "version": record["version"], "manager": "conda", "platform": "linux-64",
            "url": f"{channel.as_uri()}/{file}", "hash": {"md5": record["md5"], "sha256": record["sha256"]},
            "category": "main", "optional": False,
        }  # fmt: skip
        entries += f"- {json.dumps(entry)}\n"
    return f"version: 1\nmetadata: {{content_hash: {{}}}}\npackage:\n{entries}"


def test_a_lock_of_conda_locks(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> None:
    folder = conda_project("alpha", "python=3.9")
    text = conda_lock(channel, "linux-64/python-3.9.7-h1_0.conda", "noarch/alpha-1.0-py_0.conda")
    (folder / "conda-lock.yml").write_text(text)
    prepared = ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))
    assert installed(ENVIRONMENT, prepared) == {"alpha": "1.0", "python": "3.9.7"}
    (folder / "conda.yaml").unlink()
    alone = ENVIRONMENT.prepare(request_for(folder))
    assert alone.directory == prepared.directory
    (folder / "conda-lock.yml").write_text(text.replace('"platform": "linux-64"', '"platform": "osx-64"'))
    with pytest.raises(EnvironmentFailedError, match="no packages for linux-64, only for osx-64"):
        ENVIRONMENT.prepare(request_for(folder))


def test_an_archive_on_this_machine_that_is_not_what_is_locked(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> None:
    folder = conda_project("only-one")
    url = f"{channel.as_uri()}/linux-64/tool-1.0-0.tar.bz2"
    for digest in (f"sha256:{'0' * 64}", "0" * 32):
        (folder / "conda-linux-64.lock").write_text(f"@EXPLICIT\n{url}#{digest}\n")
        with pytest.raises(EnvironmentFailedError, match="not the one that is locked"):
            ENVIRONMENT.prepare(request_for(folder, mode=LockMode.FROZEN))


@pytest.mark.parametrize("indexed", [True, False])
def test_a_lock_without_hashes(
    tmp_path: Path,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    heard: list[str],
    indexed: bool,
) -> None:
    """The hashes of what the channel has are found out once, said, and kept: other bytes do not get in."""
    channel = make_channel(tmp_path / "channel", [CondaPackage(name="one", files={"share/one": "first"})])
    if not indexed:
        for path in channel.rglob("repodata*"):
            path.unlink()
    folder = conda_project("one", head=f"channels: [{channel.as_uri()}, nodefaults]\n")
    url = f"{channel.as_uri()}/linux-64/one-1.0-0.conda"
    (folder / "conda-linux-64.lock").write_text(f"@EXPLICIT\n{url}\n")
    for mode in (LockMode.LOCKED, LockMode.FROZEN):
        with pytest.raises(EnvironmentFailedError, match=r"lock has no hash of 1 of its packages") as caught:
            ENVIRONMENT.prepare(request_for(folder, mode=mode))
        assert "conda list --explicit --md5" in (caught.value.hint or "")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    digest = hashlib.sha256((channel / "linux-64" / "one-1.0-0.conda").read_bytes()).hexdigest()
    assert f"{url}#sha256:{digest}" in (prepared.lock or b"").decode()
    assert any("has packages without hashes: what their channels have" in note for note in prepared.notes)
    assert any("has packages without hashes" in line for line in heard)
    assert ENVIRONMENT.plan(request_for(folder)).lock_digest == prepared.lock_digest
    write_package(channel, CondaPackage(name="one", files={"share/one": "other"}))
    shutil.rmtree(paths.cache() / "environments")
    shutil.rmtree(paths.cache() / "conda")
    with pytest.raises(EnvironmentFailedError, match="not the one that is locked"):
        ENVIRONMENT.prepare(request_for(folder))


def test_a_list_without_hashes_that_is_the_declaration(
    tmp_path: Path, channel: Path, request_for: RequestMaker
) -> None:
    def listed(*names: str) -> None:
        lines = [f"{channel.as_uri()}/{name}" for name in names]
        (tmp_path / "requirements.txt").write_text("\n".join(["@EXPLICIT", *lines, ""]))

    for mode in (LockMode.UPGRADE, LockMode.REUSE):
        listed("linux-64/python-3.9.7-h1_0.conda", "noarch/alpha-1.0-py_0.conda")
        found = installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(tmp_path, mode=mode)))
        assert found == {"alpha": "1.0", "python": "3.9.7"}
        listed("linux-64/python-3.9.18-h1_0.conda")
        found = installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(tmp_path, mode=mode)))
        assert found == {"python": "3.9.18"}


@pytest.mark.parametrize("left_out", ["name", "url"])
def test_an_entry_of_conda_lock_s_that_says_too_little(
    tmp_path: Path, request_for: RequestMaker, left_out: str
) -> None:
    entry = {
        "name": "alpha", "manager": "conda", "platform": "linux-64", "hash": {"sha256": "0" * 64},
        "url": "https://conda.example.org/noarch/alpha-1.0-py_0.conda",
    }  # fmt: skip
    entry[left_out] = ""
    (tmp_path / "conda-lock.yml").write_text(json.dumps({"version": 1, "package": [entry]}))
    with pytest.raises(EnvironmentFailedError, match=r"conda-lock\.yml: entry 1 of `package` has no name"):
        ENVIRONMENT.prepare(request_for(tmp_path))


PIXI = """
version: 6
environments:
  default:
    channels: [{{url: '{channel}/'}}]
    packages:
      linux-64:
      - conda: {channel}/linux-64/python-3.9.7-h1_0.conda
      - conda: {channel}/noarch/alpha-1.0-py_0.conda
packages:
- conda: {channel}/linux-64/python-3.9.7-h1_0.conda
  sha256: {python}
  subdir: linux-64
- conda: {channel}/noarch/alpha-1.0-py_0.conda
  sha256: {alpha}
  subdir: noarch
  depends: [python]
"""


def pixi_lock(channel: Path) -> str:
    def digest(subdir: str, name: str) -> str:
        found = json.loads((channel / subdir / "repodata.json").read_bytes())["packages.conda"][name][
            "sha256"
        ]
        return str(found)

    return PIXI.format(
        channel=channel.as_uri(), python=digest("linux-64", "python-3.9.7-h1_0.conda"),
        alpha=digest("noarch", "alpha-1.0-py_0.conda"),
    )  # fmt: skip


def test_a_lock_of_pixis(tmp_path: Path, request_for: RequestMaker, channel: Path) -> None:
    (tmp_path / "pixi.lock").write_text(pixi_lock(channel))
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(tmp_path))) == {
        "alpha": "1.0",
        "python": "3.9.7",
    }
    (tmp_path / "pixi.lock").write_text("version: 99\n")
    with pytest.raises(EnvironmentFailedError, match=r"Cannot use pixi\.lock"):
        ENVIRONMENT.prepare(request_for(tmp_path))


def test_a_lock_of_pixis_beside_a_conda_file(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> None:
    folder = conda_project("alpha", "python=3.9")
    (folder / "pixi.lock").write_text(pixi_lock(channel))
    prepared = ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))
    assert installed(ENVIRONMENT, prepared) == {"alpha": "1.0", "python": "3.9.7"}
    conda_project("alpha>=2", "python=3.9")
    with pytest.raises(EnvironmentFailedError, match="nothing in it meets"):
        ENVIRONMENT.prepare(request_for(folder, mode=LockMode.LOCKED))


@pytest.mark.parametrize("change", ["driver", "CONDA_OVERRIDE_ARCHSPEC"])
def test_a_lock_is_kept_for_one_kind_of_machine(
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    heard: list[str],
    change: str,
) -> None:
    """Machines share a home, and a GPU driver is on some of them alone."""
    monkeypatch.setattr("proj.environments.conda.machine.DRIVER", tmp_path / "driver")
    folder = conda_project("alpha")

    def solved() -> int:
        ENVIRONMENT.prepare(request_for(folder))
        return sum("Solving" in line for line in heard)

    assert (solved(), solved()) == (1, 1)
    if change == "driver":
        (tmp_path / "driver").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14\n")
    else:
        monkeypatch.setenv(change, "zen2")
    assert (solved(), solved()) == (2, 2)


# --- what is otherwise than asked for ---------------------------------------------------------------------


def test_an_export_of_another_platform(
    conda_project: CondaProjectMaker, request_for: RequestMaker, heard: list[str]
) -> None:
    folder = conda_project("python=3.9.7=h6244533_0", "alpha=1.0=py39haa95532_0", "vc=14.2", "only-there=1.0")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert installed(ENVIRONMENT, prepared) == {"python": "3.9.7", "alpha": "1.0"}
    told = "\n".join(prepared.notes)
    assert "vc=14.2 exists for Windows only" in told
    assert "only-there is not made for linux-64 and was left out" in told
    assert "python has no build h6244533_0 for linux-64: another build of the same version is taken" in told
    assert all(f"warning: {note}" in heard for note in prepared.notes)
    assert ENVIRONMENT.prepare(request_for(folder)).notes == prepared.notes, "also where nothing is solved"


def test_the_nearest_python(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    folder = conda_project("python=3.9.8")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert prepared.python_version == "3.9.7"
    assert "No channel has Python 3.9.8: 3.9.7, the nearest patch of it, is used." in prepared.notes
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(folder, python_match="exact"))
    assert "Of python there is 3.9.7, 3.9.18, 3.11.7" in (caught.value.hint or "")
    assert ENVIRONMENT.prepare(request_for(folder, python="3.11")).python_version == "3.11.7"


def test_a_package_by_its_url(
    conda_project: CondaProjectMaker, request_for: RequestMaker, two_channels: tuple[Path, Path]
) -> None:
    first, second = (path.as_uri() for path in two_channels)
    head = f"channels: ['{first}', nodefaults]\n"
    made = ENVIRONMENT.prepare(
        request_for(conda_project("other", f"{second}/linux-64/one-2.0-0.conda", head=head))
    )
    assert installed(ENVIRONMENT, made) == {"other": "1.0", "one": "2.0"}


# --- other places -----------------------------------------------------------------------------------------


def test_another_platform_and_another_place(
    conda_project: CondaProjectMaker, request_for: RequestMaker, tmp_path: Path
) -> None:
    request = request_for(conda_project("only-there"))
    project = read_project(request, "win-64")
    lock = solve(project, "win-64", request, virtual_packages=("__win=10",))
    assert [locked.url.rpartition("/")[2] for locked in lock.packages] == ["only-there-1.0-0.conda"]
    request = request_for(conda_project("tool"))
    project = read_project(request, "linux-64")
    link(solve(project, "linux-64", request), project, tmp_path / "made", request, target_prefix="/opt/env")
    assert "echo /opt/env\n" in (tmp_path / "made" / "bin" / "tool").read_text()


def test_verification(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    prepared = ENVIRONMENT.prepare(request_for(conda_project("python=3.9", "alpha", "tool")))
    info = list_environments()[0]
    assert (info.kind, info.packages, info.manager, info.orphaned) == ("conda", 3, "rattler", False)
    assert verify(info) == ()
    folder = prepared.directory or Path()
    (folder / "bin" / "tool").unlink()
    module = next(folder.glob("**/alpha.py"))
    module.unlink()
    module.write_text("changed\n")
    next(folder.glob("conda-meta/python-*.json")).unlink()
    problems = "\n".join(verify(find_environment(info.key)))
    assert "tool: bin/tool is gone." in problems
    assert "alpha.py was changed." in problems
    assert "python 3.9.18 h1_0 is in the lock but not installed." in problems


def test_verification_of_what_conda_itself_has_linked(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    prepared = ENVIRONMENT.prepare(request_for(conda_project("python=3.9", "alpha")))
    record = next((prepared.directory or Path()).glob("conda-meta/alpha-*.json"))
    content = json.loads(record.read_bytes())
    for entry in content["paths_data"]["paths"]:
        entry["_path"] = entry["_path"].removeprefix("lib/python3.9/")  # as conda writes it down
    record.write_text(json.dumps(content))
    assert verify(list_environments()[0]) == ()


# --- priority of channels ---------------------------------------------------------------------------------


@pytest.fixture
def two_channels(tmp_path: Path) -> tuple[Path, Path]:
    first = make_channel(tmp_path / "first", [CondaPackage(name="one"), CondaPackage(name="other")])
    newer = [
        CondaPackage(name="one", version="2.0"),
        CondaPackage(name="behind"),
        CondaPackage(name="needs-newer", depends=("one >=2",)),
    ]
    return first, make_channel(tmp_path / "second", newer)


@pytest.mark.parametrize("spec", ["one>=2", "one=2.0=0", "needs-newer"])
def test_a_package_comes_from_the_first_channel_that_has_it(
    conda_project: CondaProjectMaker, request_for: RequestMaker, two_channels: tuple[Path, Path], spec: str
) -> None:
    """Whatever its version: else whoever can publish in a public channel could replace a private package."""
    first, second = (path.as_uri() for path in two_channels)
    head = f"channels: ['{first}', '{second}', nodefaults]\n"
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project(spec, "other", head=head)))
    assert f"one 2.0 would do, and is in {second}, behind {first}" in caught.value.message
    assert f"{second}::one" in (caught.value.hint or "")
    made = ENVIRONMENT.prepare(request_for(conda_project("one", "behind", head=head)))
    assert installed(ENVIRONMENT, made) == {"one": "1.0", "behind": "1.0"}
    made = ENVIRONMENT.prepare(request_for(conda_project(f"{second}::one>=2", "other", head=head)))
    assert installed(ENVIRONMENT, made) == {"one": "2.0", "other": "1.0"}


def test_channels_that_conda_adds_replace_nothing(
    conda_project: CondaProjectMaker, request_for: RequestMaker, two_channels: tuple[Path, Path]
) -> None:
    first, second = (path.as_uri() for path in two_channels)
    Path(os.environ["CONDARC"]).write_text(f"channels: ['{second}']\n")
    head = f"channels: ['{first}']\n"
    with pytest.raises(EnvironmentFailedError, match=r"one 2\.0 would do"):
        ENVIRONMENT.prepare(request_for(conda_project("one>=2", head=head)))
    made = ENVIRONMENT.prepare(request_for(conda_project("one", head=head)))
    assert not made.notes
    made = ENVIRONMENT.prepare(request_for(conda_project("one", "behind", head=head)))
    assert made.notes == (
        f"From {second}, which .condarc or conda itself adds to the file's channels: behind.",
    )
    made = ENVIRONMENT.prepare(request_for(conda_project("one", f"{second}::behind", head=head)))
    assert not made.notes, "the file names it"
