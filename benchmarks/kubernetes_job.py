"""A trivial Job from command to recorded end, beside the bare Job, and beside mlflow's Kubernetes backend.

It needs a cluster, which the kubeconfig's current context names, and an image with a Python that it has. For
mlflow also a docker daemon, and a registry that both reach.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import bench

from proj import process
from proj.kube.client import Client
from proj.kube.kubeconfig import connection
from proj.kube.objects import Job
from proj.kube.watch import Watch, watching

COUNT = """\
import sys
import proj
from proj.kube.cluster import open_cluster
proj.run(sys.argv[1], backend="kubernetes", backend_config=sys.argv[2], quiet=True)
print(open_cluster(None).client.calls)
"""

IMAGE = "127.0.0.1:5000/proj-test/python:3.11-slim"
KEPT = {"backoffLimit": 0, "ttlSecondsAfterFinished": 60}
REPOSITORY = "127.0.0.1:5000/bench/noop"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=7, help="turns of each command (default: %(default)s)")
parser.add_argument(
    "--image", default="127.0.0.1:5000/proj-test/python:3.11-slim", help="(default: %(default)s)"
)
parser.add_argument("--namespace", default="default", help="(default: %(default)s)")
parser.add_argument("--repository", default=REPOSITORY, help="for mlflow (default: %(default)s)")
parser.add_argument("--mlflow", type=Path, help="a stock mlflow program with docker and kubernetes beside it")
options = parser.parse_args()

JOBS = f"/apis/batch/v1/namespaces/{options.namespace}/jobs"
client = Client(connection())


class Clock:
    """Tells when each Job of the namespace was seen first."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def watch(self) -> Watch[Job]:
        return Watch(client, JOBS, Job, {}, on_change=self._on_change, on_trouble=lambda _: None, listed=True)

    def _on_change(self, change: str, job: Job) -> None:
        if change == "DELETED":
            return
        now_s = time.perf_counter()
        self.seen.setdefault(job.metadata.name, now_s)
        if job.status.succeeded:
            self.ended.setdefault(job.metadata.name, now_s)


def project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "MLproject").write_text(
        f"name: noop\ndocker_env: {{image: '{options.image}'}}\nentry_points: {{main: {{command: 'true'}}}}\n"
    )
    return folder


def bare(number: int) -> float:
    """Seconds of the same container as a Job by itself: created, and seen to have succeeded."""
    name = f"bare-{os.getpid()}-{number}"
    container = {"name": "main", "image": options.image, "command": ["true"]}
    pod = {"restartPolicy": "Never", "dnsPolicy": "Default", "containers": [container]}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {**KEPT, "template": {"spec": pod}}}  # fmt: skip
    begun_s = time.perf_counter()
    client.send("POST", JOBS, "create a Job", body=body)
    while name not in clock.ended:
        time.sleep(0.005)
    return clock.ended[name] - begun_s


def created_after(argv: list[str | Path], whole: list[float]) -> float:
    """Seconds from a command's start until the Job that it makes is seen."""
    before = set(clock.seen)
    begun_s = time.perf_counter()
    sample = bench.measure(argv)
    whole.append(sample.seconds)
    made = min(clock.seen[name] for name in set(clock.seen) - before)
    return made - begun_s


def mlflow_command(folder: Path) -> list[str | Path]:
    config = folder / "config.json"
    template = folder / "job.yaml"
    container = {"name": "x", "image": "x", "command": ["x"]}
    pod = {"restartPolicy": "Never", "dnsPolicy": "Default", "containers": [container]}
    spec = {**KEPT, "template": {"spec": pod}}
    template.write_text(json.dumps({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "x", "namespace": options.namespace}, "spec": spec,
    }))  # fmt: skip
    context = connection().context
    config.write_text(json.dumps({
        "kube-context": context, "repository-uri": options.repository,
        "kube-job-template-path": str(template),
    }))  # fmt: skip
    return [options.mlflow, "run", folder / "noop", "--backend", "kubernetes", "--backend-config", config,
            "--build-image"]  # fmt: skip


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


clock = Clock()
with bench.workplace() as folder, watching(clock.watch()):
    noop = project(folder / "noop")
    config = json.dumps({"namespace": options.namespace, "dns-policy": "Default", "ttl": "60s"})
    ours: list[str | Path] = [bench.PROJ, "run", noop, "--backend", "kubernetes", "-c", config]
    theirs = mlflow_command(folder) if options.mlflow else None
    names = ["a bare Job", "proj run", *(["mlflow run --build-image"] if theirs else [])]
    whole: dict[str, list[float]] = {name: [] for name in names}
    created: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds + 1):
        whole["a bare Job"].append(bare(number))
        created["proj run"].append(created_after(ours, whole["proj run"]))
        if theirs:
            created[names[2]].append(created_after(theirs, whole[names[2]]))
    counted = process.run([sys.executable, "-c", COUNT, str(noop), config])
    calls = counted.stdout.split()[-1]
rows = []
for name in names:
    times, until = whole[name][1:], created[name][1:]
    rows.append([
        name,
        f"{median(times):.2f}",
        f"{min(times):.2f} - {max(times):.2f}",
        f"{median(until):.2f}" if until else "",
        calls if name == "proj run" else "",
    ])  # fmt: skip
columns = ["command", "median s", "range s", "until the Job is created s", "API requests"]
bench.report("A trivial Job, its record written", columns, rows)
