"""Files up and down."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from report import VERSION


def artifacts(report):
    """Files up and down."""
    client = MlflowClient()
    mlflow.set_experiment("files")
    report.name(mlflow.get_experiment_by_name("files").experiment_id, "experiment files")
    folder = Path(tempfile.mkdtemp())
    (folder / "tree" / "deep" / "deeper").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_text("alpha\n")
    (folder / "tree" / "deep" / "b ünï #1 %20+?.txt").write_text("beta ü\n")
    (folder / "tree" / "deep" / "deeper" / "c.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "tree" / "empty").write_bytes(b"")
    with mlflow.start_run(run_name="files") as run:
        run_id = report.name(run.info.run_id, "run files")
        mlflow.log_artifact(str(folder / "tree" / "a.txt"))
        mlflow.log_artifact(str(folder / "tree" / "a.txt"), "some/where")
        mlflow.log_artifacts(str(folder / "tree"), "tree")
        mlflow.log_text("some text\n", "texts/one.txt")
        mlflow.log_dict({"b": [1, 2.5, None], "a": "ü"}, "data.json")
        mlflow.log_dict({"b": 1}, "data.yaml")
        report.check("figure", _log_figure)
        report.check("image", _log_image)
        if hasattr(mlflow, "log_table"):
            mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
            mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
        mlflow.log_text("new text\n", "texts/one.txt")

    def walk(path=None):
        found = []
        for entry in client.list_artifacts(run_id, path):
            found.append(entry)
            if entry.is_dir:
                found += walk(entry.path)
        return found

    listed = walk()
    report.add(
        "tree",
        [
            [e.path, e.is_dir, e.file_size if "png" not in e.path else "png"]
            for e in listed
            if "images/" not in e.path
        ],
    )
    report.check("list file", client.list_artifacts, run_id, "a.txt")
    report.check("list nothing", client.list_artifacts, run_id, "nothing")
    report.check("list up", client.list_artifacts, run_id, "../..")
    report.check("list of no run", client.list_artifacts, "0" * 32)
    target = Path(tempfile.mkdtemp())
    report.check(
        "download file", lambda: Path(client.download_artifacts(run_id, "a.txt", str(target))).read_text()
    )
    tree = Path(client.download_artifacts(run_id, "tree", str(target)))
    report.add("downloaded", sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()))
    report.add("same", (tree / "deep" / "deeper" / "c.bin").read_bytes() == bytes(range(256)) * 5000)
    report.check("text", (tree / "deep" / "b ünï #1 %20+?.txt").read_text)
    report.check(
        "download all",
        lambda: len(list(Path(client.download_artifacts(run_id, "", str(target))).rglob("*.txt"))),
    )
    report.check(
        "download nothing", lambda: client.download_artifacts(run_id, "nothing.txt", str(target)) and None
    )
    report.check("download up", lambda: client.download_artifacts(run_id, "../../x", str(target)) and None)
    report.check("log missing", lambda: client.log_artifact(run_id, str(folder / "missing")))
    if hasattr(mlflow, "artifacts") and hasattr(mlflow.artifacts, "load_text"):
        base = "runs:/{}/".format(run_id)
        report.add("load text", mlflow.artifacts.load_text(base + "texts/one.txt"))
        report.add("load dict", mlflow.artifacts.load_dict(base + "data.json"))
        report.check("load image", lambda: list(mlflow.artifacts.load_image(base + "image.png").size))
        uri = mlflow.get_run(run_id).info.artifact_uri
        report.add(
            "by uri", Path(mlflow.artifacts.download_artifacts(artifact_uri=uri + "/a.txt")).read_text()
        )
    if hasattr(mlflow, "artifacts") and hasattr(mlflow.artifacts, "list_artifacts"):
        report.check(
            "listed by uri",
            lambda: [each.path for each in mlflow.artifacts.list_artifacts("runs:/{}/texts".format(run_id))],
        )
    if hasattr(mlflow, "load_table"):
        report.add("table", mlflow.load_table("table.json", run_ids=[run_id]).values.tolist())
    if VERSION >= (2, 10):
        from mlflow.artifacts import download_artifacts

        report.check(
            "download by run",
            lambda: Path(download_artifacts(run_id=run_id, artifact_path="data.json")).read_text(),
        )
    if VERSION >= (2, 0):
        from mlflow.store.artifact.artifact_repository_registry import (
            get_artifact_repository,
        )

        repository = get_artifact_repository(mlflow.get_run(run_id).info.artifact_uri)
        report.check("delete", repository.delete_artifacts, "tree")
        report.add("after deletion", [each.path for each in client.list_artifacts(run_id)])


def _log_figure():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([0, 1], [2, 3])
    mlflow.log_figure(figure, "figures/plot.png")


def _log_image():
    import numpy

    image = numpy.zeros((10, 20, 3), dtype=numpy.uint8)
    mlflow.log_image(image, "image.png")
    if VERSION >= (2, 11):
        mlflow.log_image(image, key="steps", step=3)
