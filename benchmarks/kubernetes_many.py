"""Many Jobs that one process follows: memory, threads, requests to the API server, none lost.

It needs a cluster, which the kubeconfig's current context names, and an image with a shell that it has.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import bench

from proj.backends.kubernetes import KubernetesBackend
from proj.kube.client import Client
from proj.kube.cluster import open_cluster
from proj.model import CODE_DIR, Code, Command, Execution, Outcome, RecipeRuntime

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--count", type=int, default=200, help="Jobs (default: %(default)s)")
parser.add_argument(
    "--image", default="127.0.0.1:5000/proj-test/python:3.11-slim", help="(default: %(default)s)"
)
parser.add_argument("--namespace", default="default", help="(default: %(default)s)")
options = parser.parse_args()

asked: collections.Counter[str] = collections.Counter()
request = Client._request  # noqa: SLF001  counts what it sends


def counted(self: Client, method: str, path: str, *args: Any, **named: Any) -> Any:
    query = args[1] if len(args) > 1 else named.get("query")
    kind = "watch" if query and "watch" in query else "log" if path.endswith("/log") else method
    asked[f"watch {path.rpartition('/')[2]}" if kind == "watch" else kind] += 1
    return request(self, method, path, *args, **named)


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def execution(folder: Path, number: int) -> Execution:
    record = folder / str(number)
    record.mkdir()
    line = f"echo {number}"
    return Execution(
        run_id=os.urandom(16).hex(), run_name=f"many-{number}", project_name="many",
        command=Command(line=line, argv=("sh", "-c", line), cwd=CODE_DIR),
        runtime=RecipeRuntime(image=options.image), variables={"TOKEN": "x"}, secrets=("TOKEN",),
        record_dir=str(record), quiet=True, grace_s=1.0, code=Code(root=folder / "tree"),
        backend_config=json.dumps({"namespace": options.namespace, "dns-policy": "Default", "ttl": "60s"}),
    )  # fmt: skip


def main(folder: Path) -> None:
    (folder / "tree").mkdir()
    (folder / "tree" / "file.txt").write_text("the same for all\n")
    backend = KubernetesBackend()
    outcomes: dict[int, Outcome] = {}
    memory: list[float] = []
    most_threads = 0
    begun_s = time.perf_counter()
    threads = []
    for number in range(options.count):
        handle = backend.submit(execution(folder, number))

        def wait(number: int = number, handle: Any = handle) -> None:
            outcomes[number] = handle.wait()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
    created_s = time.perf_counter() - begun_s
    while any(thread.is_alive() for thread in threads):
        memory.append(resident_mib())
        most_threads = max(most_threads, threading.active_count())
        time.sleep(0.25)
    whole_s = time.perf_counter() - begun_s
    ended = sum(outcome.exit_code == 0 for outcome in outcomes.values())
    right = sum(
        (folder / str(number) / "stdout.log").read_text() == f"{number}\n" for number in range(options.count)
    )
    watches = {kind: count for kind, count in asked.items() if kind.startswith("watch")}
    rows = [
        ["Jobs, ended well, with all of their output", f"{options.count}, {ended}, {right}"],
        ["seconds until all are created, have ended", f"{created_s:.1f}, {whole_s:.1f}"],
        [
            "requests, of them for each run",
            f"{sum(asked.values())}, {sum(asked.values()) / options.count:.1f}",
        ],
        ["requests by kind", ", ".join(f"{kind} {count}" for kind, count in sorted(asked.items()))],
        ["watches open at a time", str(len(watches))],
        [
            "memory with all under way, most, at the end, MiB",
            f"{memory[0]:.0f}, {max(memory):.0f}, {memory[-1]:.0f}",
        ],
        ["threads at most", str(most_threads)],
    ]
    bench.report(f"{options.count} Jobs followed by one process", ["what", "figure"], rows)


Client._request = counted  # type: ignore[method-assign]  # noqa: SLF001
with tempfile.TemporaryDirectory(prefix="proj-bench-") as name:
    open_cluster(None)
    main(Path(name))
