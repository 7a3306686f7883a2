"""Conda environments from end to end: a channel whose Pythons are real, `pip:` sections, kills, crowds."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess  # noqa: TID251  pip as a user calls it
import sys
from typing import TYPE_CHECKING

import pytest

from channelkit import MINORS, pyenv_home
from conda_kit import (
    ChannelServer,
    CondaPackage,
    make_channel,
    wheel_package,
)
from projkit import ProjFolder, eventually, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.conda, pytest.mark.timeout(300)]

ONLINE: dict[str, str | None] = {"UV_OFFLINE": None}
"""The channels of these tests are on loopback."""
PROJECT = """
name: conda-project
conda_env: conda.yaml
entry_points:
  main:
    parameters: {{n: {{type: int, default: 3}}}}
    command: "{command}"
"""
COMMAND = "python train.py {n}"
TRAIN = """
import os, ssl, sqlite3, sys
import alpha, tiny, tinynum
print(sys.version_info[:2], alpha.version, tiny.version, tinynum.total([1.0] * int(sys.argv[1])))
print(tinynum.prefix() == sys.prefix + "/share/tiny", os.environ["GREETING"], end=" ")
print(os.environ["TOOL_HOME"] == sys.prefix)
"""


@pytest.fixture
def channel(real_channel: Path) -> Path:
    return real_channel


@pytest.fixture
def server(channel: Path) -> Iterator[ChannelServer]:
    made = ChannelServer(channel)
    yield made
    made.close()


def conda_yaml(url: str, minor: str = "3.9", *more: str) -> str:
    lines = "".join(
        f"  - {line}\n" for line in (f"python={minor}", "alpha<2", "tinynum", "tool", "pip", *more)
    )
    pip = '  - pip:\n    - --no-index\n    - --find-links ./wheels\n    - "tiny"\n'
    variables = "variables:\n  GREETING: hello\n"
    return f"name: x\nchannels: ['{url}', nodefaults]\ndependencies:\n{lines}{pip}{variables}"


def write_project(folder: ProjFolder, url: str, minor: str = "3.9", command: str = COMMAND) -> None:
    folder.write({
        "MLproject": PROJECT.format(command=command), "conda.yaml": conda_yaml(url, minor), "train.py": TRAIN,
        "wheels/tiny-1.0-py3-none-any.whl": wheel("tiny", "1.0"),
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["http", "file"])
@pytest.mark.parametrize("minor", MINORS)
def test_a_project_runs(
    folder: ProjFolder, server: ChannelServer, channel: Path, minor: str, kind: str
) -> None:
    write_project(folder, server.url if kind == "http" else channel.as_uri(), minor)
    first = folder.process("run", ".", env=ONLINE)
    assert first.code == 0, first
    version = tuple(int(number) for number in minor.split("."))
    assert first.stdout == f"{version} 1.0 1.0 3.0\nTrue hello True\n"
    server.asked.clear()
    second = folder.process("run", ".", "-P", "n=4", env=ONLINE)
    assert second.code == 0, second
    assert "4.0" in second.stdout
    assert not server.asked, "a warm run asks nobody"
    assert "Solving" not in second.stderr
    run = folder.runs()[0]
    lock = folder.artifact(run, "proj/environment/conda-linux-64.lock").decode()
    assert f"python-{minor}" in lock
    assert '# | name = "tiny"' in lock
    assert folder.process("env", "verify").code == 0
    folder.clean()


def test_entry_points_and_programs(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url, command="tinynum && command -v python")
    done = folder.process("run", ".", env=ONLINE)
    assert done.code == 0, done
    assert done.stdout.startswith("tinynum 4.0\n")
    assert str(folder.cache / "environments") in done.stdout.splitlines()[-1]


def test_the_run_is_made_again_from_its_record(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    shutil.rmtree(folder.cache / "environments")
    (folder.path / "conda.yaml").write_text(conda_yaml(server.url).replace("alpha<2", "alpha"))
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again
    assert "came out the same" in again.stdout
    assert "packages: alpha" in again.stdout
    locks = {run.tags["proj.lock"] for run in folder.runs()}
    assert len(locks) == 1


def test_the_run_is_made_again_without_any_cache(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    shutil.rmtree(folder.cache)
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again
    server.close()
    shutil.rmtree(folder.cache)
    gone = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert gone.code == 125, gone
    assert "Traceback" not in gone.stderr


def test_pip_replaces_what_does_not_go_with_it(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url, command="python -c 'import alpha, tiny; print(alpha.version)'")
    folder.write({"wheels/alpha-3.0-py3-none-any.whl": wheel("alpha", "3.0")})
    text = conda_yaml(server.url)
    (folder.path / "conda.yaml").write_text(text.replace('- "tiny"', '- "tiny"\n    - "alpha>=3"'))
    done = folder.process("run", ".", env=ONLINE)
    assert (done.code, done.stdout) == (0, "3.0\n"), done
    assert "The `pip:` section replaces alpha 1.0 of conda." in done.stderr
    assert folder.process("env", "verify").code == 0
    cached = folder.cache / "conda" / "packages" / "alpha-1.0-py_0" / "site-packages" / "alpha.py"
    assert "'1.0'" in cached.read_text(), "what is shared with other environments stays as it is"


def test_what_conda_has_is_not_installed_again(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url, command="python -c 'import alpha, tiny; print(alpha.version)'")
    folder.write({"wheels/alpha-1.0-py3-none-any.whl": wheel("alpha", "1.0")})
    text = conda_yaml(server.url)
    (folder.path / "conda.yaml").write_text(text.replace('- "tiny"', '- "tiny"\n    - "alpha"'))
    done = folder.process("run", ".", env=ONLINE)
    assert (done.code, done.stdout) == (0, "1.0\n"), done
    lock = folder.artifact(folder.the_run(), "proj/environment/conda-linux-64.lock").decode()
    assert re.findall(r'# \| name = "(.*)"', lock) == ["tiny"]


def test_eight_at_once_build_one(folder: ProjFolder, server: ChannelServer) -> None:
    write_project(folder, server.url)
    started = [folder.start("run", ".", env=ONLINE) for _ in range(8)]
    results = [run.finish() for run in started]
    assert [result.code for result in results] == [0] * 8, results
    assert len({result.stdout for result in results}) == 1
    assert sum("Solving" in result.stderr for result in results) == 1
    assert sum("Installing" in result.stderr for result in results) == 1
    (entry,) = (folder.cache / "environments").iterdir()
    assert len([path for path in entry.iterdir() if path.is_dir()]) == 1
    assert sum(path.endswith("/libtiny-1.0-0.tar.bz2") for path in server.asked) == 1
    folder.clean()


SETUP = (
    "import os, time\nif os.path.exists({slow!r}):\n    open({arrived!r}, 'w').close()\n    time.sleep(60)\n"
)


class Phases:
    """Holds a run at one phase of making its environment."""

    def __init__(self, name: str, folder: ProjFolder, server: ChannelServer) -> None:
        self._server = server
        self._arrived, self._slow = folder.base / "arrived", folder.base / "slow"
        write_project(folder, server.url)
        if name == "solving":
            server.held = "repodata"
        elif name == "downloading":
            server.held = "libtiny"
        else:  # a hook in the interpreter, which uv starts for the `pip:` section
            self._slow.touch()
            hook = SETUP.format(slow=str(self._slow), arrived=str(self._arrived))
            name_, depends = "hook", ("python",)
            extra = CondaPackage(
                name=name_, noarch="python", build="py_0", depends=depends,
                files={"site-packages/sitecustomize.py": hook},
            )  # fmt: skip
            copy = folder.base / "channel"
            shutil.copytree(server.folder, copy)
            server.folder = make_channel(copy, [extra])
            (folder.path / "conda.yaml").write_text(conda_yaml(server.url, "3.9", "hook"))

    def is_there(self) -> bool:
        return self._server.arrived.is_set() or self._arrived.exists()

    def go_on(self) -> None:
        self._server.held = ""
        self._server.released.set()
        with contextlib.suppress(FileNotFoundError):
            self._slow.unlink()


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT"])
@pytest.mark.parametrize("at", ["solving", "downloading", "resolving pip"])
def test_a_run_that_is_stopped_at_any_phase(
    folder: ProjFolder, server: ChannelServer, at: str, name: str
) -> None:
    phase = Phases(at, folder, server)
    started = folder.start("run", ".", env=ONLINE)
    eventually(lambda: phase.is_there() or started.process.poll() is not None, says=at)
    assert started.process.poll() is None, started.finish()
    started.signal(getattr(signal, f"SIG{name}"))
    result = started.finish()
    eventually(lambda: not folder.processes(), says=f"the end of {folder.processes()}")
    assert "Traceback" not in result.stderr, result
    assert not list(folder.cache.glob("environments/*/complete"))
    phase.go_on()
    again = folder.process("run", ".", env=ONLINE)
    assert again.code == 0, again
    assert again.stdout.endswith("True hello True\n")
    assert [run.status.value for run in folder.runs()] == ["FINISHED", "KILLED"]
    assert folder.process("env", "verify").code == 0
    folder.clean()


# --- conda programs ---------------------------------------------------------------------------------------

STAND_IN = """#!{python}
# Has the command line of conda, and rattler to do the work: what `proj` asks of it, and is told by it.
import asyncio, json, os, sys
from pathlib import Path
import rattler

arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")
prefix = arguments[arguments.index("--prefix") + 1]
text = Path(arguments[arguments.index("--file") + 1]).read_text()


async def main():
    cache = Path({cache!r})
    if "@EXPLICIT" in text:
        records = []
        for line in text.splitlines()[1:]:
            url = line.partition("#")[0]
            path = Path(url.removeprefix("file://"))
            record = await rattler.RepoDataRecord.from_package_archive(path)
            record.url = url
            records.append(record)
    else:
        wanted = json.loads(text)
        assert "nodefaults" not in wanted["channels"], "conda 26 takes it for a channel"
        channels = [rattler.Channel(url) for url in wanted["channels"]]
        records = await rattler.solve(channels, wanted["dependencies"])
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False)


asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture
def stand_in(folder: ProjFolder) -> Path:
    path = folder.base / "home" / "bin" / "conda"
    path.parent.mkdir(parents=True)
    path.write_text(
        STAND_IN.format(python=sys.executable, log=str(folder.base / "log"), cache=str(folder.base / "pkgs"))
    )
    path.chmod(0o755)
    (path.parent / "mamba").write_text(path.read_text())
    (path.parent / "mamba").chmod(0o755)
    return path


@pytest.mark.parametrize(
    "named", ["--conda-exe", "MLFLOW_CONDA_HOME", "CONDA_EXE", "MLFLOW_CONDA_CREATE_ENV_CMD"]
)
def test_a_conda_program(folder: ProjFolder, channel: Path, stand_in: Path, named: str) -> None:
    write_project(folder, channel.as_uri())
    options = ["--env-manager", "conda"]
    env: dict[str, str | None] = {"CONDA_EXE": str(stand_in)}
    if named == "--conda-exe":
        options, env = ["--conda-exe", str(stand_in)], {}
    elif named == "MLFLOW_CONDA_HOME":
        env = {"MLFLOW_CONDA_HOME": str(stand_in.parent.parent), "CONDA_EXE": "/nowhere/conda"}
    elif named == "MLFLOW_CONDA_CREATE_ENV_CMD":
        env |= {"MLFLOW_CONDA_CREATE_ENV_CMD": "mamba"}
    done = folder.process("run", ".", *options, env={**ONLINE, **env})
    assert done.code == 0, done
    assert done.stdout.endswith("True hello True\n")
    calls = (folder.base / "log").read_text().splitlines()
    assert len(calls) == 2
    assert '"env", "create"' in calls[0]
    assert '["create"' in calls[1]
    program = "mamba" if named == "MLFLOW_CONDA_CREATE_ENV_CMD" else "conda"
    assert f"Solving 5 packages of conda.yaml by {program}" in done.stderr
    assert folder.process("run", ".", *options, env={**ONLINE, **env}).code == 0
    assert len((folder.base / "log").read_text().splitlines()) == 2, "a warm run needs no program"


def test_a_conda_program_that_fails(folder: ProjFolder, channel: Path) -> None:
    write_project(folder, channel.as_uri())
    program = folder.base / "conda"
    program.write_text("#!/bin/sh\necho PackagesNotFoundError: alpha >&2\nexit 1\n")
    program.chmod(0o755)
    done = folder.process("run", ".", "--conda-exe", str(program), env=ONLINE)
    assert done.code == 125, done
    assert "conda ended with exit code 1" in done.stderr
    assert "PackagesNotFoundError: alpha" in done.stderr
    assert folder.the_run().tags["proj.failure"] == "env_failed"
    missing = folder.process("run", ".", "--conda-exe", "/nowhere/conda", env=ONLINE)
    assert missing.code == 2, missing
    folder.clean()


# --- the classic of the field -----------------------------------------------------------------------------

CLASSIC = """
name: tutorial
channels:
  - {channel}
dependencies:
  - python=3.11
  - pip
  - scikit-learn
  - pip:
    - mlflow>=2.0
"""
CLASSIC_TRAIN = """
import mlflow, sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet

x, y = load_diabetes(return_X_y=True)
with mlflow.start_run():
    model = ElasticNet(alpha=0.1).fit(x, y)
    mlflow.log_metric("r2", model.score(x, y))
    print(sklearn.__file__)
"""
_WHEELS = ("numpy", "scipy", "joblib", "threadpoolctl", "scikit_learn")


@pytest.fixture
def classic(folder: ProjFolder) -> ProjFolder:
    folder.write({"MLproject": PROJECT.format(command="python train.py"), "train.py": CLASSIC_TRAIN})
    return folder


def _classic_runs(folder: ProjFolder, *options: str, env: dict[str, str | None]) -> str:
    done = folder.process("run", ".", *options, env=env)
    assert done.code == 0, done
    shown = folder.process("show", folder.the_run().run_id, "--json").json
    assert "r2" in str(shown)
    return done.stdout


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_classic_with_scikit_learn_of_conda(classic: ProjFolder, channel: Path) -> None:
    wheels = classic.base / "wheels"
    python = str(pyenv_home("3.11") / "bin" / "python3.11")
    argv = [python, "-m", "pip", "download", "-q", "--only-binary=:all:"]
    subprocess.run([*argv, "-d", str(wheels), "scikit-learn"], check=True)
    mine = classic.base / "channel"
    shutil.copytree(channel, mine)
    needs = {"scikit_learn": ("numpy", "scipy", "joblib", "threadpoolctl"), "scipy": ("numpy",)}
    packages = [
        wheel_package(path, "3.11", needs.get(name, ()))
        for name in _WHEELS
        for path in wheels.glob(f"{name}-*.whl")
    ]
    assert len(packages) == len(_WHEELS)
    make_channel(mine, packages)
    classic.write({"conda.yaml": CLASSIC.format(channel=mine.as_uri())})
    said = _classic_runs(classic, env={"UV_OFFLINE": None})
    assert str(classic.cache / "environments") in said
    lock = classic.artifact(classic.the_run(), "proj/environment/conda-linux-64.lock").decode()
    assert "/scikit-learn-" in lock.partition("pylock.toml")[0]
    assert '# | name = "mlflow"' in lock
    assert '# | name = "scikit-learn"' not in lock, "what conda has is not installed again"
    assert classic.process("env", "verify").code == 0


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_classic_without_channels(classic: ProjFolder) -> None:
    classic.write({"conda.yaml": CLASSIC.format(channel="conda-forge")})
    said = _classic_runs(classic, "--env-manager", "uv", env={"UV_OFFLINE": None})
    assert str(classic.cache / "environments") in said
