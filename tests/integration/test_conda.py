"""Conda environments from end to end: a channel whose Pythons are real, `pip:` sections, programs, crowds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess  # noqa: TID251  pip as a user calls it
import zipfile
from pathlib import Path

import pytest

from channelkit import MINORS, pyenv_home
from conda_kit import ChannelServer, make_channel, wheel_package
from condarunkit import ONLINE, PROJECT, conda_yaml, write_project
from projkit import ProjFolder, eventually, wheel

pytestmark = [pytest.mark.conda, pytest.mark.timeout(300)]


@pytest.mark.parametrize("kind", ["http", "file"])
@pytest.mark.parametrize("minor", MINORS)
def test_a_project_runs(
    folder: ProjFolder, conda_server: ChannelServer, real_channel: Path, minor: str, kind: str
) -> None:
    write_project(folder, conda_server.url if kind == "http" else real_channel.as_uri(), minor)
    first = folder.process("run", ".", env=ONLINE)
    assert first.code == 0, first
    version = tuple(int(number) for number in minor.split("."))
    assert first.stdout == f"{version} 1.0 1.0 3.0\nTrue hello True\n"
    conda_server.asked.clear()
    second = folder.process("run", ".", "-P", "n=4", env=ONLINE)
    assert second.code == 0, second
    assert "4.0" in second.stdout
    assert not conda_server.asked, "a warm run asks nobody"
    assert "Solving" not in second.stderr
    run = folder.runs()[0]
    lock = folder.artifact(run, "proj/environment/conda-linux-64.lock").decode()
    assert f"python-{minor}" in lock
    assert '# | name = "tiny"' in lock
    assert folder.process("env", "verify").code == 0
    folder.clean()


def test_entry_points_and_programs(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url, command="tinynum && command -v python")
    done = folder.process("run", ".", env=ONLINE)
    assert done.code == 0, done
    assert done.stdout.startswith("tinynum 4.0\n")
    assert str(folder.cache / "environments") in done.stdout.splitlines()[-1]


def test_what_is_listed_and_pruned(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url, command="touch there; while [ -e there ]; do sleep 0.02; done")
    started = folder.start("run", ".", env=ONLINE)
    eventually((folder.path / "there").exists)
    listed = folder.process("env", "list")
    assert "conda.yaml" in listed.stdout
    assert f"6 conda packages in {folder.cache}/conda, " in listed.stderr
    spared = folder.process("env", "prune", "--all")
    assert "In use, and kept" in spared.stderr
    (folder.path / "there").unlink()
    assert started.finish().code == 0
    pruned = folder.process("env", "prune", "--all")
    assert pruned.stdout.splitlines()[-1].startswith("1 environment"), pruned
    assert folder.process("env", "list").stderr == "No environments.\n"
    folder.clean()


def test_the_run_is_made_again_from_its_record(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    shutil.rmtree(folder.cache / "environments")
    (folder.path / "conda.yaml").write_text(conda_yaml(conda_server.url).replace("alpha<2", "alpha"))
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again
    assert "came out the same" in again.stdout
    assert "packages: alpha" in again.stdout
    locks = {run.tags["proj.lock"] for run in folder.runs()}
    assert len(locks) == 1
    other = folder.process("reproduce", "latest", "--python", "3.8", env=ONLINE)
    assert other.code == 125, other
    assert "is one of the packages of the recorded lock" in other.stderr


def test_the_run_is_made_again_without_any_cache(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    shutil.rmtree(folder.cache)
    again = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert again.code == 0, again
    conda_server.close()
    shutil.rmtree(folder.cache)
    gone = folder.process("reproduce", "latest", "--verify", env=ONLINE)
    assert gone.code == 125, gone
    assert "Traceback" not in gone.stderr


def _moved_elsewhere(folder: ProjFolder) -> dict[str, str | None]:
    """Variables of somebody with neither records nor caches, and without a network."""
    other = folder.base / "elsewhere"
    caches = {"PROJ_CACHE": str(other / "cache"), "UV_CACHE_DIR": str(other / "uv")}
    return {**ONLINE, **caches, "PROJ_HOME": str(other / "home")}


def test_an_archive_with_packages_needs_no_channel(
    folder: ProjFolder, real_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ChannelServer(real_channel, token="t0ken")
    monkeypatch.setenv("TOKEN", "t0ken")
    url = f"http://{server.address}/t/${{TOKEN}}/channel"
    write_project(folder, url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    Path(os.environ["CONDARC"]).write_text(f"channels: ['{url}']\n")
    file = folder.base / "run.zip"
    done = folder.process("export", "latest", "-o", str(file), "--with-packages", env=ONLINE)
    assert done.code == 0, done
    with zipfile.ZipFile(file) as archive:
        names = {name for name in archive.namelist() if "packages/" in name}
        assert b"t0ken" not in b"".join(map(archive.read, archive.namelist()))
    assert {name.rpartition("/")[2] for name in names} >= {"libtiny-1.0-0.tar.bz2", "alpha-1.0-py_0.conda"}
    server.close()
    again = folder.process("reproduce", str(file), "--offline", "--verify", env=_moved_elsewhere(folder))
    assert again.code == 0, again
    assert "came out the same" in again.stdout
    cache = folder.base / "elsewhere" / "cache"
    (linked,) = cache.glob("environments/*/*/conda-meta/alpha-1.0-py_0.json")
    assert json.loads(linked.read_text())["url"] == f"{server.url}/noarch/alpha-1.0-py_0.conda"
    folder.clean()


def test_packages_of_an_archive_that_cannot_be_had(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url)
    assert folder.process("run", ".", env=ONLINE).code == 0
    file = folder.base / "run.zip"
    conda_server.corrupt.add("libtiny-1.0-0.tar.bz2")
    done = folder.process("export", "latest", "-o", str(file), "--with-packages", env=ONLINE)
    assert (done.code, file.exists()) == (125, False), done
    assert "A package is not the one that is locked." in done.stderr
    assert "Export without --with-packages" in done.stderr
    conda_server.close()
    done = folder.process("export", "latest", "-o", str(file), "--with-packages", env=ONLINE)
    assert (done.code, file.exists()) == (125, False), done
    assert "A channel cannot be read." in done.stderr
    folder.clean()


def test_pip_replaces_what_does_not_go_with_it(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url, command="python -c 'import alpha, tiny; print(alpha.version)'")
    folder.write({"wheels/alpha-3.0-py3-none-any.whl": wheel("alpha", "3.0")})
    text = conda_yaml(conda_server.url)
    (folder.path / "conda.yaml").write_text(text.replace('- "tiny"', '- "tiny"\n    - "alpha>=3"'))
    done = folder.process("run", ".", env=ONLINE)
    assert (done.code, done.stdout) == (0, "3.0\n"), done
    assert "The `pip:` section replaces alpha 1.0 of conda." in done.stderr
    assert folder.process("env", "verify").code == 0
    cached = folder.cache / "conda" / "packages" / "alpha-1.0-py_0" / "site-packages" / "alpha.py"
    assert "'1.0'" in cached.read_text(), "what is shared with other environments stays as it is"


def test_what_conda_has_is_not_installed_again(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url, command="python -c 'import alpha, tiny; print(alpha.version)'")
    folder.write({"wheels/alpha-1.0-py3-none-any.whl": wheel("alpha", "1.0")})
    text = conda_yaml(conda_server.url)
    (folder.path / "conda.yaml").write_text(text.replace('- "tiny"', '- "tiny"\n    - "alpha"'))
    done = folder.process("run", ".", env=ONLINE)
    assert (done.code, done.stdout) == (0, "1.0\n"), done
    lock = folder.artifact(folder.the_run(), "proj/environment/conda-linux-64.lock").decode()
    assert re.findall(r'# \| name = "(.*)"', lock) == ["tiny"]


def test_eight_at_once_build_one(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url)
    started = [folder.start("run", ".", env=ONLINE) for _ in range(8)]
    results = [run.finish() for run in started]
    assert [result.code for result in results] == [0] * 8, results
    assert len({result.stdout for result in results}) == 1
    assert sum("Solving" in result.stderr for result in results) == 1
    assert sum("Installing" in result.stderr for result in results) == 1
    (entry,) = (folder.cache / "environments").iterdir()
    assert len([path for path in entry.iterdir() if path.is_dir()]) == 1
    assert sum(path.endswith("/libtiny-1.0-0.tar.bz2") for path in conda_server.asked) == 1
    folder.clean()


def test_different_projects_at_once_share_packages(folder: ProjFolder, conda_server: ChannelServer) -> None:
    write_project(folder, conda_server.url)
    started = []
    for number, (minor, *more) in enumerate(
        (("3.9",), ("3.9", "setuptools"), ("3.11",), ("3.11", "setuptools"))
    ):
        part = shutil.copytree(folder.path, folder.base / f"part-{number}")
        (part / "conda.yaml").write_text(conda_yaml(conda_server.url, minor, *more))
        started.append(folder.start("run", str(part), env=ONLINE))
    results = [run.finish() for run in started]
    assert [result.code for result in results] == [0] * len(started), results
    downloads = [path for path in conda_server.asked if path.endswith((".conda", ".tar.bz2"))]
    assert len(downloads) == len(set(downloads)), "each package is downloaded once"
    verified = folder.process("env", "verify")
    assert (verified.code, verified.stdout.count("as locked")) == (0, len(started)), verified
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
def test_the_classic_with_scikit_learn_of_conda(classic: ProjFolder, real_channel: Path) -> None:
    wheels = classic.base / "wheels"
    python = str(pyenv_home("3.11") / "bin" / "python3.11")
    argv = [python, "-m", "pip", "download", "-q", "--only-binary=:all:"]
    subprocess.run([*argv, "-d", str(wheels), "scikit-learn"], check=True)
    mine = classic.base / "channel"
    shutil.copytree(real_channel, mine)
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
@pytest.mark.parametrize("scikit_learn", ["of conda", "of pip"])
def test_the_classic_without_channels(classic: ProjFolder, scikit_learn: str) -> None:
    file, options = CLASSIC.format(channel="conda-forge"), ["--env-manager", "uv"]
    if scikit_learn == "of pip":  # then it needs no conda whatever is asked for
        file, options = file.replace("  - scikit-learn\n", "") + "    - scikit-learn\n", []
    classic.write({"conda.yaml": file})
    said = _classic_runs(classic, *options, env={"UV_OFFLINE": None})
    assert str(classic.cache / "environments") in said
