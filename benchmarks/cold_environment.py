"""Row 4: a new environment from packages that uv has cached, beside raw `uv venv` and `uv pip install`."""

from __future__ import annotations

import shlex
import shutil
import sys

import bench

# What proj installs for a project that names no build dependencies: MLflow's stand first.
PACKAGES = ("pip", "setuptools<82", "wheel", "scikit-learn==1.6.1", "numpy==2.2.6")
PYTHON_ENV = f"""\
python: {".".join(map(str, sys.version_info[:3]))}
build_dependencies: [pip, "setuptools<82", wheel]
dependencies: [scikit-learn==1.6.1, numpy==2.2.6]
"""

options = bench.arguments(__doc__, mlflow=False)
with bench.workplace() as folder:
    bare = bench.noop_project(folder / "bare")
    project = bench.noop_project(folder / "project", PYTHON_ENV)
    raw = folder / "raw"
    uv, at, python = (shlex.quote(str(word)) for word in (bench.uv(), raw, sys.executable))
    packages = shlex.join(PACKAGES)
    install = f"{uv} venv -q -p {python} {at} && {uv} pip install -q -p {at} {packages}"

    def forget_all() -> None:
        """Remove environments and locks; the packages that uv has cached stay."""
        shutil.rmtree(folder / "cache", ignore_errors=True)

    def forget_environments() -> None:
        """Remove environments; locks stay."""
        shutil.rmtree(folder / "cache" / "environments", ignore_errors=True)

    def forget_raw() -> None:
        """Remove the yardstick's environment."""
        shutil.rmtree(raw, ignore_errors=True)

    samples = bench.take_turns(
        [
            bench.Contender("uv venv, uv pip install", ["sh", "-c", install], forget_raw),
            bench.Contender("proj run, to be resolved", [bench.PROJ, "run", project], forget_all),
            bench.Contender("proj run, lock kept", [bench.PROJ, "run", project], forget_environments),
            bench.Contender("proj run, no environment", [bench.PROJ, "run", bare]),
        ],
        options.rounds,
    )

theirs = bench.seconds(samples["uv venv, uv pip install"])
noop = samples["proj run, no environment"]
rows = []
for name, taken in samples.items():
    ours = taken is not noop and name.startswith("proj")
    alone = bench.added(noop, taken) if ours else bench.seconds(taken)
    rows.append([name, f"{bench.seconds(taken):.3f}", f"{alone:.3f}", f"{alone / theirs:.2f}"])
bench.report(
    "A cold environment, packages cached", ["command", "whole s", "less a no-op run s", "times uv"], rows
)
