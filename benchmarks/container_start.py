"""A warm run in a container, its record written, beside `docker run` of the same image."""

from __future__ import annotations

import bench

options = bench.arguments(__doc__)
IMAGE = "proj-test/shell:2"
"""Made by the tests that carry the marker `docker`."""

with bench.workplace() as folder:
    project = folder / "boxed"
    project.mkdir()
    (project / "MLproject").write_text(
        f"name: boxed\ndocker_env: {{image: '{IMAGE}'}}\nentry_points: {{main: {{command: 'true'}}}}\n"
    )
    samples = bench.take_turns(
        [
            bench.Contender("proj run, docker_env", [bench.PROJ, "run", project]),
            bench.Contender("docker run", ["docker", "run", "--rm", IMAGE, "true"]),
            bench.Contender("proj run, no-op here", [bench.PROJ, "run", bench.noop_project(folder / "noop")]),
        ],
        options.rounds,
    )
yardstick = bench.seconds(samples["docker run"])
rows = [
    [
        name,
        f"{bench.seconds(taken):.3f}",
        bench.spread(taken),
        f"{bench.peak(taken):.0f}",
        f"{bench.seconds(taken) - yardstick:+.3f}",
    ]
    for name, taken in samples.items()
]
bench.report(
    "A warm run in a container", ["command", "median s", "range s", "peak MiB", "beyond docker run"], rows
)
