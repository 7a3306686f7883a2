"""Row 5: a git URL and commit that ran before, its server stopped, beside the folder run in place."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import bench

if TYPE_CHECKING:
    from pathlib import Path


def make_repository(folder: Path, files: int) -> str:
    """Commit a project among other files and return the commit."""
    bench.noop_project(folder)
    for number in range(files):
        path = folder / f"package{number % 20}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"VALUE = {number}\n" * 50)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "Begin"]):
        bench.measure(["git", "-C", folder, *words])
    return (folder / ".git" / "refs" / "heads" / "main").read_text().strip()


def serve(base: Path) -> tuple[int, int]:
    """Start a git server for the folders below `base` and return its process number and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    how = ["--export-all", "--reuseaddr", "--log-destination=none", "--listen=127.0.0.1"]
    words = ["git", "daemon", *how, f"--port={port}", f"--base-path={base}", str(base)]
    pid = os.posix_spawnp("git", words, os.environ, setpgroup=0)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return pid, port
        time.sleep(0.05)
    sys.exit("git daemon does not answer")


options = bench.arguments(__doc__, mlflow=False, files=100)
with bench.workplace() as folder:
    local = folder / "served" / "project"
    commit = make_repository(local, options.files)
    server, port = serve(folder / "served")
    url = f"git://127.0.0.1:{port}/project"
    try:
        cloned = [
            bench.measure(["git", "clone", "-q", url, folder / f"clone{number}"])
            for number in range(options.rounds)
        ]
        bench.measure([bench.PROJ, "run", url, "-v", commit])
    finally:
        os.killpg(server, signal.SIGTERM)
        os.waitpid(server, 0)
    samples = bench.take_turns(
        [
            bench.Contender("folder", [bench.PROJ, "run", local]),
            bench.Contender("url", [bench.PROJ, "run", url, "-v", commit]),
        ],
        2 * options.rounds,
    )

bench.report(
    f"The same git URL and commit again, server stopped ({options.files} files)",
    ["command", "median s", "range s", "added s"],
    [
        ["proj run FOLDER", f"{bench.seconds(samples['folder']):.3f}", bench.spread(samples["folder"]), ""],
        [
            "proj run URL -v COMMIT",
            f"{bench.seconds(samples['url']):.3f}",
            bench.spread(samples["url"]),
            f"{bench.added(samples['folder'], samples['url']):.3f}",
        ],
        ["git clone URL (server up)", f"{bench.seconds(cloned):.3f}", bench.spread(cloned), ""],
    ],
)
