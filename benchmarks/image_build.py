"""`proj build --push` beside `docker build` and `docker push` of an equivalent Dockerfile, to one registry.

Needs a docker daemon with a base image that has Python (`BENCH_BASE`), `docker-registry`, a package index.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess  # noqa: TID251  a server for the time of the measurement
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bench

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("scikit-learn==1.6.1", "numpy==2.2.6", "pandas==2.2.3")
DOCKERFILE = """\
FROM {base}
COPY requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/env && /opt/env/bin/pip install --no-cache-dir -q -r /tmp/requirements.txt
ENV PATH=/opt/env/bin:$PATH
COPY . /mlflow/projects/code
WORKDIR /mlflow/projects/code
ENTRYPOINT ["python", "train.py"]
"""
FILES = 200
"""Of code, beside the one that changes."""
DATA_MIB = 64
"""Of data in the tree, for the second comparison."""


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Serve a registry of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = folder / "registry.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: {host}}}\n"
    )
    with Path(os.devnull).open("wb") as nothing:
        server = subprocess.Popen(["docker-registry", "serve", settings], stdout=nothing, stderr=nothing)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(tuple(host.split(":")), 1):
                break
            time.sleep(0.05)
        yield host
    finally:
        server.terminate()
        server.wait()


def write_project(folder: Path, base: str) -> None:
    """Write a project, and the Dockerfile that does the same."""
    folder.mkdir()
    (folder / "MLproject").write_text(
        "name: bench\npython_env: python_env.yaml\nentry_points: {main: {command: python train.py}}\n"
    )
    listed = ", ".join(PACKAGES)
    (folder / "python_env.yaml").write_text(f"build_dependencies: [pip]\ndependencies: [{listed}]\n")
    (folder / "requirements.txt").write_text("\n".join(PACKAGES))
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    for number in range(FILES):
        (folder / f"module{number}.py").write_text(f"VALUE = {number}\n" * 50)
    (folder / "train.py").write_text("print(0)\n")


BASE = os.environ.get("BENCH_BASE", "proj-test/python:3.11-slim")
options = bench.arguments(__doc__, mlflow=False)
with bench.workplace() as folder, registry(folder) as host:
    project = folder / "project"
    base = f"{host}/base/python:1"
    for words in (["docker", "tag", BASE, base], ["docker", "push", "-q", base]):
        bench.measure(words)
    write_project(project, base)
    count = iter(range(10**6))
    ours, theirs = (f"{host}/{name}/image" for name in ("ours", "theirs"))

    def change() -> None:
        """Change a byte of the code."""
        (project / "train.py").write_text(f"print({next(count)})\n")

    def forget() -> None:
        """Forget all that proj has made, packages too, and change a byte."""
        change()
        shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / "uv", ignore_errors=True)
        shutil.rmtree(folder / "registry/docker/registry/v2/repositories/ours", ignore_errors=True)

    def forget_theirs() -> None:
        """Forget what docker has pushed, and change a byte."""
        change()
        shutil.rmtree(folder / "registry/docker/registry/v2/repositories/theirs", ignore_errors=True)

    os.environ["UV_CACHE_DIR"] = str(folder / "uv")
    build = [bench.PROJ, "build", project, "--base-image", base, "-t", f"{ours}:1", "--push"]
    place = shlex.quote(str(project))

    def docker(*flags: str) -> list[str]:
        """Words that build and push."""
        build = f"docker build -q {' '.join(flags)} -t {theirs}:1 {place}"
        return ["sh", "-c", f"{build} && docker push -q {theirs}:1"]

    first = bench.take_turns(
        [
            bench.Contender("docker build --no-cache, docker push", docker("--no-cache"), forget_theirs),
            bench.Contender("proj build --push, no caches", build, forget),
        ],
        max(1, options.rounds // 4),
    )

    def after_a_change() -> dict[str, list[bench.Sample]]:
        """Build and push what differs by a byte."""
        contenders = [
            bench.Contender("docker build, docker push", docker(), change),
            bench.Contender("proj build --push", build, change),
        ]
        return bench.take_turns(contenders, options.rounds)

    again = after_a_change()
    (project / "data.bin").write_bytes(os.urandom(DATA_MIB * 2**20))
    again_with_data = after_a_change()
    made = f"docker image ls -q {theirs} | sort -u | xargs docker image rm -f"
    bench.measure(["sh", "-c", f"{made}; docker image rm {base}"])

for title, samples in (
    ("A first image, pushed", first),
    (f"An image after a change of code ({FILES} files), pushed", again),
    (f"The same with {DATA_MIB} MiB of data beside the code", again_with_data),
):
    slowest = bench.seconds(next(iter(samples.values())))
    rows = [
        [name, f"{bench.seconds(taken):.2f}", f"{slowest / bench.seconds(taken):.1f}"]
        for name, taken in samples.items()
    ]
    bench.report(title, ["command", "median s", "times faster"], rows)
sys.stdout.flush()
