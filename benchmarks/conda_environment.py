"""A conda environment of 200 packages, solved and linked: beside raw rattler, and conda if one is named."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import bench

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conda_kit import CondaPackage, make_channel, module_package

PACKAGES, VERSIONS, FILES = 200, 5, 40
RAW = """
import asyncio, os, sys
from pathlib import Path
import rattler
channel, prefix, cache = sys.argv[1:4]
async def main():
    virtual = rattler.VirtualPackage.detect(rattler.VirtualPackageOverrides.from_env())
    gateway = rattler.Gateway(cache_dir=Path(cache) / "repodata")
    records = await rattler.solve([channel], sys.argv[4:], gateway=gateway, virtual_packages=virtual)
    await rattler.install(records, prefix, cache_dir=Path(cache) / "packages", show_progress=False)
asyncio.run(main())
os._exit(0)
"""


def packages() -> list[CondaPackage]:
    """Packages in several versions that need up to three others each, all of them in the end."""
    python = CondaPackage(name="python", version="3.11.7", build="h1_0", files={"bin/python": "#!/bin/sh\n"})
    made = [python, module_package("pip", "23.0")]
    for number in range(PACKAGES - 1):
        needs = [
            f"p{other} >=1.{number % 3}" for other in (2 * number + 1, 2 * number + 2) if other < PACKAGES - 1
        ]
        for version in range(VERSIONS):
            package = module_package(f"p{number}", f"1.{version}", ["python >=3.9", *needs])
            more = {f"site-packages/p{number}_{each}.py": f"# {each}\n" * 50 for each in range(FILES)}
            made.append(CondaPackage(**{**vars(package), "files": {**package.files, **more}}))
    return made


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=5, help="turns of each command (default: %(default)s)")
parser.add_argument("--conda", type=Path, help="a conda, mamba or micromamba to take turns with")
options = parser.parse_args()
with bench.workplace() as folder:
    channel = make_channel(folder / "channel", packages()).as_uri()
    project = bench.noop_project(folder / "project")
    bare = bench.noop_project(folder / "bare")
    (project / "conda.yaml").write_text(f"channels: ['{channel}', nodefaults]\ndependencies: [python, p0]\n")
    with (project / "MLproject").open("a") as file:
        file.write("conda_env: conda.yaml\n")
    (folder / "environment.yml").write_text(
        json.dumps({"channels": [channel], "dependencies": ["python", "p0"]})
    )

    def forget_all() -> None:
        """Remove environments and locks; the packages and repodata in the cache stay."""
        for name in ("environments", "locks"):
            shutil.rmtree(folder / "cache" / name, ignore_errors=True)

    def forget_environments() -> None:
        """Remove environments; locks stay."""
        shutil.rmtree(folder / "cache" / "environments", ignore_errors=True)

    def forget(name: str) -> None:
        """Remove a yardstick's environment."""
        shutil.rmtree(folder / name, ignore_errors=True)

    raw = [sys.executable, "-c", RAW, channel, folder / "raw", folder / "raw-cache", "python", "p0"]
    contenders = [
        bench.Contender("rattler alone", raw, lambda: forget("raw")),
        bench.Contender("proj run, to be solved", [bench.PROJ, "run", project], forget_all),
        bench.Contender("proj run, lock kept", [bench.PROJ, "run", project], forget_environments),
        bench.Contender("proj run, warm", [bench.PROJ, "run", project]),
        bench.Contender("proj run, no environment", [bench.PROJ, "run", bare]),
    ]
    if options.conda is not None:
        os.environ |= {"CONDA_PKGS_DIRS": str(folder / "conda-cache"), "CONDA_DEFAULT_CHANNELS": channel}
        create = shlex.join(
            ["env", "create", "-q", "-p", str(folder / "conda"), "-f", str(folder / "environment.yml")]
        )
        argv = ["sh", "-c", f"{shlex.quote(str(options.conda))} {create}"]
        contenders.insert(0, bench.Contender("conda env create", argv, lambda: forget("conda")))
    samples = bench.take_turns(contenders, options.rounds)

theirs = bench.seconds(samples["rattler alone"])
rows = [
    [
        name,
        f"{bench.seconds(taken):.3f}",
        bench.spread(taken),
        f"{bench.peak(taken):.0f}",
        f"{bench.seconds(taken) / theirs:.2f}",
    ]
    for name, taken in samples.items()
]
columns = ["command", "median s", "range s", "peak MiB", "times rattler"]
bench.report(f"A conda environment of {PACKAGES} packages, packages cached", columns, rows)
