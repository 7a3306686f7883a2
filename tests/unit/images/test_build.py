"""Images of a base, packages, code and a launcher: the same input gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from imagekit import PYTHON_FILES, Sample, names, sha, tar
from proj import images, process
from proj.errors import ImageError, UsageError
from proj.images.blobs import BlobCache
from proj.model import EntryPoint

REPO = Path(__file__).parents[3]
OTHER_PYTHONS = [
    path
    for path in (Path(f"/root/.pyenv/versions/{version}/bin/python") for version in ("3.10.13", "3.13.0"))
    if path.exists()
]


def wheel(folder: Path, name: str, files: dict[str, str], *, tag: str = "py3-none-any") -> Path:
    """A wheel; its data files and scripts too."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-{tag}.whl"
    content = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-run = {name}.main:app.run\n",
        **files,
    }
    record = [f"{file},{_hash(text)},{len(text.encode())}" for file, text in content.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]) + "\n")
    return path


def _hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def lock(*wheels: Path) -> bytes:
    lines = ['lock-version = "1.0"', 'created-by = "test"', 'requires-python = ">=3.8"']
    for path in wheels:
        name = path.name.partition("-")[0]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines += [
            "[[packages]]",
            f'name = "{name}"',
            'version = "1.0"',
            f'archive = {{ path = "{path}", hashes = {{ sha256 = "{digest}" }} }}',
        ]
    return "\n".join([*lines, ""]).encode()


TOOL_FILES = {
    "tool/__init__.py": "",
    "tool/main.py": "class app:\n    run = staticmethod(lambda: print('ran'))\n",
    "tool-1.0.data/scripts/tool-script": "#!python\nprint('script')\n",
    "tool-1.0.data/data/share/tool/data.txt": "data\n",
}

PIP_FILES = {
    "pip/main.py": "",
    "pip-1.0.dist-info/entry_points.txt": "[console_scripts]\npip = pip.main:run\npip3 = pip.main:run\n",
}


@pytest.fixture
def base(tmp_path: Path) -> str:
    return f"oci:{Sample().write(tmp_path / 'base')}"


def code(folder: Path, **files: str) -> Path:
    for name, text in {"train.py": "print(1)\n", **files}.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def spec(base: str, root: Path, **options: Any) -> images.BuildSpec:
    return images.BuildSpec(base=base, platform="linux/amd64", code=images.CodeSpec(root=root), **options)


def layer(image: images.BuiltImage, kind: str) -> bytes:
    found = next(each for each in image.layers if each.kind == kind)
    return BlobCache().path(found.diff_id).read_bytes()


def unpack(content: bytes, folder: Path) -> Path:
    folder.mkdir()
    archive = folder.parent / f"{folder.name}.tar"
    archive.write_bytes(content)
    process.run(["tar", "-xf", str(archive), "-C", str(folder)])
    return folder


def test_the_image_s_python_counts_not_the_one_that_installs(base: str, tmp_path: Path) -> None:
    text = lock(wheel(tmp_path / "wheels", "tool", TOOL_FILES)).replace(b">=3.8", b"==2.7.*")
    packages = images.PackagesSpec(lock=text, offline=True)
    image = images.build(spec(base, code(tmp_path / "code"), packages=packages))
    assert b"tool/main.py" in layer(image, "packages")


# --- the same bytes -------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[4], 8))
from proj import images
from proj.model import EntryPoint
root = Path(sys.argv[1])
image = images.build(images.BuildSpec(
    base=sys.argv[2], platform="linux/amd64", code=images.CodeSpec(root=root),
    packages=images.PackagesSpec(lock=Path(sys.argv[3]).read_bytes(), offline=True),
    launcher=images.LauncherSpec(entry_points=(EntryPoint(name="main", command="python train.py"),)),
    compress=sys.argv[5] == "yes",
))
print(image.manifest_digest)
"""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("compress", ["no", "yes"])
def test_the_same_image_in_other_folders_under_other_umasks_on_other_pythons(
    base: str, tmp_path: Path, compress: str
) -> None:
    wheels = [wheel(tmp_path / "wheels", "tool", TOOL_FILES), wheel(tmp_path / "wheels", "pip", PIP_FILES)]
    (tmp_path / "pylock.toml").write_bytes(lock(*wheels))
    seen = set()
    for number, python in enumerate([Path(sys.executable), *OTHER_PYTHONS]):
        interpreter = _with_proj(python, tmp_path / f"venv{number}") if number else python
        for umask in ("022", "077"):
            root = tmp_path / f"{number}{umask}" / "code"
            root.mkdir(parents=True)
            process.run(["sh", "-c", f"umask {umask}; cp -r {code(tmp_path / 'code', a__b='x')}/. {root}"])
            env = {"PROJ_CACHE": str(tmp_path / f"cache{number}{umask}"), "PYTHONPATH": str(REPO / "src")}
            words = [str(root), base, str(tmp_path / "pylock.toml"), umask, compress]
            done = process.run([str(interpreter), "-c", PROGRAM, *words], env=env)
            seen.add(done.stdout)
    assert len(seen) == 1
    assert len(OTHER_PYTHONS) == 2, "the comparison between Python versions needs 3.10 and 3.13 here"


def _with_proj(python: Path, folder: Path) -> Path:
    """An environment of another Python with what `proj.images` imports."""
    from proj.installer import uv_binary

    process.run([uv_binary(), "venv", "-q", "-p", str(python), str(folder)])
    wanted = ["msgspec", "requests", "platformdirs", "pyyaml", "click", "docker", "uv", "tomli"]
    process.run([uv_binary(), "pip", "install", "-q", "-p", str(folder / "bin/python"), *wanted])
    return folder / "bin/python"


def test_one_byte_of_code_changes_the_layer_of_the_code_alone(base: str, tmp_path: Path) -> None:
    main = images.LauncherSpec(entry_points=(EntryPoint(name="main", command="python train.py"),))
    tool = images.PackagesSpec(lock=lock(wheel(tmp_path / "wheels", "tool", TOOL_FILES)), offline=True)
    root = code(tmp_path / "code")
    before = images.build(spec(base, root, launcher=main, packages=tool))
    (root / "train.py").write_text("print(2)\n")
    after = images.build(spec(base, root, launcher=main, packages=tool))
    changed = [old.kind for old, new in zip(before.layers, after.layers, strict=True) if old.blob != new.blob]
    assert changed == ["code"]
    assert before.manifest_digest != after.manifest_digest


def test_times_owners_and_the_order_of_files_do_not_matter(base: str, tmp_path: Path) -> None:
    first = code(tmp_path / "one", b="1", a="2")
    second = code(tmp_path / "two", a="2", b="1")
    os.utime(second / "a", (1, 1))
    if os.geteuid() == 0:
        os.chown(second / "a", 1234, 1234)
    assert images.build(spec(base, first)).manifest_digest == images.build(spec(base, second)).manifest_digest


def test_compressed_layers_are_gzip_of_the_same_tar(base: str, tmp_path: Path) -> None:
    import gzip

    root = code(tmp_path / "code")
    plain, packed = images.build(spec(base, root)), images.build(spec(base, root, compress=True))
    assert packed.layers[-1].diff_id == plain.layers[-1].diff_id
    content = BlobCache().path(packed.layers[-1].blob.digest).read_bytes()
    assert gzip.decompress(content) == layer(plain, "code")
    assert packed.layers[-1].blob.mediaType.endswith("tar+gzip")


# --- the code -------------------------------------------------------------------------------------------


def test_the_code_is_what_would_run(base: str, tmp_path: Path) -> None:
    root = code(
        tmp_path / "code",
        **{
            ".gitignore": "ignored\n",
            "ignored": "x",
            ".projignore": "data/\n",
            "data__big.csv": "x",
            ".dockerignore": "*.md\n!README.md\n",
            "notes.md": "x",
            "README.md": "x",
            "__pycache____x.pyc": "x",
            "sub__deep__file": "x",
        },
    )
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    (root / "link").symlink_to("sub/deep")
    process.run(["git", "init", "-q"], cwd=root)
    found = images.build(spec(base, root))
    inside = [name.removeprefix("mlflow/projects/code/") for name in names(layer(found, "code"))]
    assert inside == [
        "mlflow", "mlflow/projects", "mlflow/projects/code", ".dockerignore", ".gitignore", ".projignore",
        "README.md", "link", "run.sh", "sub", "sub/deep", "sub/deep/file", "train.py",
    ]  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(layer(found, "code"))) as archive:
        entries = {Path(each.name).name: each for each in archive}
    assert (entries["link"].linkname, entries["link"].issym()) == ("sub/deep", True)
    modes = {name: entries[name].mode for name in ("projects", "code", "run.sh", "train.py")}
    assert modes == {"projects": 0o755, "code": 0o777, "run.sh": 0o777, "train.py": 0o666}
    assert {(each.uid, each.gid, each.mtime) for each in entries.values()} == {(0, 0, 315_619_200)}


def test_secrets_are_left_out_and_named(base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    canary = "AKIA" + "Z" * 16
    root = code(
        tmp_path / "code", **{".env": "PASSWORD=canary-31", "keys.py": f"KEY = '{canary}'\n", "id_rsa": "x"}
    )
    found = images.build(spec(base, root))
    assert canary.encode() not in layer(found, "code")
    assert b"canary-31" not in layer(found, "code")
    assert "look like secrets: .env, id_rsa, keys.py" in caplog.text


def test_outputs_of_earlier_runs_are_no_code(base: str, tmp_path: Path) -> None:
    root = code(tmp_path / "code", **{"model.pkl": "x", "kept.pkl": "x"})
    process.run(["git", "init", "-q"], cwd=root)
    process.run(["git", "add", "kept.pkl"], cwd=root)
    outputs = images.CodeSpec(root=root, outputs=("*.pkl",))
    found = images.build(images.BuildSpec(base=base, platform="linux/amd64", code=outputs))
    assert [name for name in names(layer(found, "code")) if name.endswith(".pkl")] == [
        "mlflow/projects/code/kept.pkl"
    ]


def test_a_project_below_the_top_runs_in_its_folder(base: str, tmp_path: Path) -> None:
    root = code(tmp_path / "code", sub__x="1", **{"sub__.dockerignore": "y\n", "sub__y": "1", "y": "1"})
    found = images.build(
        images.BuildSpec(base=base, platform="linux/amd64", code=images.CodeSpec(root=root, project="sub"))
    )
    assert json.loads(found.config)["config"]["WorkingDir"] == "/mlflow/projects/code/sub"
    inside = names(layer(found, "code"))
    assert "mlflow/projects/code/y" in inside
    assert "mlflow/projects/code/sub/y" not in inside


def test_a_tree_of_which_nothing_is_left_is_an_error(base: str, tmp_path: Path) -> None:
    root = code(tmp_path / "code", **{".dockerignore": "**\n"})
    with pytest.raises(ImageError, match="no file in"):
        images.build(spec(base, root))


# --- the packages ---------------------------------------------------------------------------------------


def test_the_packages_are_a_virtual_environment(base: str, tmp_path: Path) -> None:
    tool = wheel(tmp_path / "wheels", "tool", TOOL_FILES)
    packages = images.PackagesSpec(lock=lock(tool), offline=True)
    found = images.build(spec(base, code(tmp_path / "code"), packages=packages))
    env = unpack(layer(found, "packages"), tmp_path / "tree") / "mlflow/projects/env"
    site = env / "lib/python3.11/site-packages"
    python = f"#!{images.ENVIRONMENT}/bin/python\n"
    assert (env / "pyvenv.cfg").read_text().splitlines()[0] == "home = /usr/local/bin"
    assert (env / "bin/python").readlink() == Path("/usr/local/bin/python3.11")
    assert (env / "bin/tool-script").read_text() == f"{python}print('script')\n"
    assert (
        (env / "bin/tool-run")
        .read_text()
        .startswith(f"{python}import re\nimport sys\nfrom tool.main import app\n")
    )
    assert (env / "share/tool/data.txt").read_text() == "data\n"
    assert found.python == "3.11"
    assert not [
        path
        for path in env.rglob("*")
        if path.suffix == ".pyc" or path.name in ("REQUESTED", "direct_url.json")
    ]
    content = layer(found, "packages")
    assert str(tmp_path).encode() not in content
    assert str(Path(os.path.realpath(sys.executable)).parent).encode() not in content
    rows = [row.split(",") for row in (site / "tool-1.0.dist-info/RECORD").read_text().splitlines()]
    assert rows == sorted(rows)
    for name, digest, size in rows:
        path = (site / name).resolve()
        assert path.exists(), name
        assert digest in (
            "",
            f"sha256={base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b'=').decode()}",
        )
        assert size in ("", str(path.stat().st_size))
    listed = {str((site / row[0]).resolve().relative_to(env)) for row in rows}
    assert {"bin/tool-run", "bin/tool-script", "share/tool/data.txt"} <= listed


def test_programs_that_are_named_after_the_python_have_the_image_s(tmp_path: Path) -> None:
    """Installers name pip's after the Python that they run with."""
    python: dict[str, bytes | str | None] = {"usr/local/bin/python3": b"#!/bin/sh\n"}
    sample = Sample(tar(python), env=("PATH=/usr/local/bin", "PYTHON_VERSION=3.12.1"))
    pip = wheel(tmp_path / "wheels", "pip", PIP_FILES)
    packages = images.PackagesSpec(lock=lock(pip), offline=True)
    base = f"oci:{sample.write(tmp_path / 'base')}"
    found = images.build(spec(base, code(tmp_path / "code"), packages=packages))
    env = unpack(layer(found, "packages"), tmp_path / "tree") / "mlflow/projects/env"
    assert sorted(path.name for path in (env / "bin").glob("pip*")) == ["pip", "pip3", "pip3.12"]
    assert (env / "bin/pip3.12").read_text() == (env / "bin/pip").read_text()
    record = (env / "lib/python3.12/site-packages/pip-1.0.dist-info/RECORD").read_text()
    assert "../../../bin/pip3.12,sha256=" in record


def test_packages_are_installed_once(base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "proj")
    tool = wheel(tmp_path / "wheels", "tool", TOOL_FILES)
    packages = images.PackagesSpec(lock=lock(tool), offline=True)
    for _ in range(2):
        images.build(spec(base, code(tmp_path / "code"), packages=packages))
    assert caplog.text.count("Installing 1 package for Python 3.11") == 1


def test_a_package_without_a_fitting_wheel_is_named(base: str, tmp_path: Path) -> None:
    other = wheel(tmp_path / "wheels", "native", {"native.py": ""}, tag="cp27-cp27m-win32")
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    text = (
        lock()
        + (
            '[[packages]]\nname = "native"\nversion = "1.0"\n'
            f'wheels = [{{ path = "{other}", hashes = {{ sha256 = "{digest}" }} }}]\n'
        ).encode()
    )
    with pytest.raises(ImageError) as caught:
        images.build(
            spec(base, code(tmp_path / "code"), packages=images.PackagesSpec(lock=text, offline=True))
        )
    assert caught.value.message.startswith("There is no wheel of native for Python 3.11 on x86_64-")
    assert "--builder daemon" in (caught.value.hint or "")


def test_a_wheel_that_is_not_the_locked_one_is_refused(base: str, tmp_path: Path) -> None:
    tool = wheel(tmp_path / "wheels", "tool", TOOL_FILES)
    text = lock(tool).replace(hashlib.sha256(tool.read_bytes()).hexdigest().encode(), b"0" * 64)
    with pytest.raises(ImageError, match="Cannot install the packages"):
        images.build(
            spec(base, code(tmp_path / "code"), packages=images.PackagesSpec(lock=text, offline=True))
        )


def test_a_base_without_python_is_told(tmp_path: Path) -> None:
    base = f"oci:{Sample(tar({'bin/sh': b'x'})).write(tmp_path / 'base')}"
    with pytest.raises(ImageError, match="has no Python 3 on its PATH"):
        images.build(spec(base, code(tmp_path / "code"), packages=images.PackagesSpec(lock=lock())))


# --- bases ----------------------------------------------------------------------------------------------


LINUX = "x86_64-manylinux_2_28"
MUSL = "lib/ld-musl-x86_64.so.1"
NEWER = "usr/local/bin/python3.12"


@pytest.mark.parametrize(
    ("layers", "env", "python", "target"),
    [
        ((PYTHON_FILES,), ("PATH=/usr/local/bin",), "/usr/local/bin/python3.11", LINUX),
        ((PYTHON_FILES,), ("PATH=/usr/bin",), None, LINUX),
        (({},), ("PATH=/usr/local/bin", "PYTHON_VERSION=3.9.18"), "/usr/local/bin/python3.9", LINUX),
        (
            ({"usr/bin/python3.10": b"x", "bin": "usr/bin", "lib/x86_64-linux-gnu/libc-2.31.so": b""},),
            ("PATH=/bin",),
            "/bin/python3.10",
            "x86_64-manylinux_2_31",
        ),
        (
            ({"opt/py/bin/python3": "../real/python3.12", "opt/py/real/python3.12": b"x", MUSL: b""},),
            ("PATH=/opt/py/bin",),
            "/opt/py/real/python3.12",
            "x86_64-unknown-linux-musl",
        ),
        ((PYTHON_FILES, {"usr/local/bin/.wh.python3.11": b""}), ("PATH=/usr/local/bin",), None, LINUX),
        ((PYTHON_FILES, {"usr/.wh.local": b""}), ("PATH=/usr/local/bin",), None, LINUX),
        (
            (PYTHON_FILES, {NEWER: b"x", "usr/local/bin/python3": f"/{NEWER}"}),
            ("PATH=/usr/local/bin",),
            "/usr/local/bin/python3.12",
            LINUX,
        ),
        (({"a/python3": "../b/python3", "b/python3": "../a/python3"},), ("PATH=/a",), None, LINUX),
    ],
)  # fmt: skip
def test_the_python_of_an_image_is_found(
    layers: tuple[dict[str, bytes | str | None], ...], env: tuple[str, ...], python: str | None, target: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    base = f"oci:{Sample(*map(tar, layers), env=env).write(tmp_path / 'base')}"
    for _ in range(2):  # the second time from what is remembered
        found = images.resolve(base, platform="linux/amd64")
        assert (found.python_path, found.target) == (python, target)


def test_another_platform_is_refused_and_one_of_an_index_chosen(tmp_path: Path) -> None:
    arm = Sample(architecture="arm64")
    folder = arm.write(tmp_path / "arm")
    with pytest.raises(ImageError, match=r"is for linux/arm64, not for linux/amd64"):
        images.resolve(f"oci:{folder}", platform="linux/amd64")
    both = Sample().write(tmp_path / "both", arm)
    assert images.resolve(f"oci:{both}", platform="linux/arm64").digest == arm.digest
    assert images.resolve(f"oci:{both}", platform="arm64").target == "aarch64-manylinux_2_28"


def test_a_layout_is_read_by_its_tag(tmp_path: Path) -> None:
    folder = Sample().write(tmp_path / "base", tag="one")
    assert images.resolve(f"oci:{folder}:one", platform="linux/amd64").python == "3.11"
    with pytest.raises(ImageError, match="has no image 'two'") as caught:
        images.resolve(f"oci:{folder}:two", platform="linux/amd64")
    assert caught.value.hint == "It has one."


def test_a_layout_that_lies_is_not_used(tmp_path: Path, base: str) -> None:
    sample = Sample()
    folder = sample.write(tmp_path / "base")
    (folder / "blobs/sha256" / sha(sample.blobs[0])[7:]).write_bytes(b"x" * len(sample.blobs[0]))
    with pytest.raises(ImageError, match="is not what its name says"):
        images.resolve(base, platform="linux/amd64")


def test_a_layout_that_is_not_whole_is_not_used(tmp_path: Path, base: str) -> None:
    (tmp_path / "base/blobs/sha256" / Sample().digest[7:]).unlink()
    with pytest.raises(ImageError, match="is missing in the layout"):
        images.resolve(base, platform="linux/amd64")


@pytest.mark.parametrize(
    ("name", "said"),
    [("oci:/nowhere", "is no OCI layout"), ("oci:", "needs a folder"), ("docker:", "needs an image's name")],
)
def test_bases_that_are_none_are_refused(name: str, said: str) -> None:
    with pytest.raises((ImageError, UsageError), match=said):
        images.resolve(name)


def test_no_daemon_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(ImageError, match="No docker daemon answers at"):
        images.resolve("docker:python:3.11")


# --- the configuration ----------------------------------------------------------------------------------


def test_the_configuration_is_the_bases_with_what_is_new(tmp_path: Path) -> None:
    kept = {"Healthcheck": {"Test": ["NONE"]}, "Labels": {"theirs": "1"}, "ExposedPorts": {"80/tcp": {}}}
    base = f"oci:{Sample(extra=kept).write(tmp_path / 'base')}"
    main = images.LauncherSpec(entry_points=(EntryPoint(name="main", command="true"),))
    packages = images.PackagesSpec(lock=lock())
    found = images.build(
        spec(
            base, code(tmp_path / "code"), launcher=main, packages=packages, labels={"ours": "2"},
            variables={"A": "b=c"}, user="1000", created_s=86400,
        )
    )  # fmt: skip
    document = json.loads(found.config)
    config = document["config"]
    assert document["created"] == "1970-01-02T00:00:00Z"
    assert config["Labels"] == {"theirs": "1", "ours": "2"}
    assert config["Healthcheck"] == kept["Healthcheck"]
    assert config["Entrypoint"] == ["/bin/sh", images.LAUNCHER]
    assert "Cmd" not in config
    assert config["User"] == "1000"
    assert set(config["Env"]) == {
        f"PATH={images.ENVIRONMENT}/bin:/usr/local/bin:/usr/bin", f"VIRTUAL_ENV={images.ENVIRONMENT}",
        "A=b=c",
    }  # fmt: skip
    assert len(document["history"]) == len(document["rootfs"]["diff_ids"]) == len(found.layers) == 4
    assert found.config_digest == sha(found.config)
    assert found.manifest_digest == sha(found.manifest)


def test_without_a_launcher_the_image_runs_what_its_base_runs(base: str, tmp_path: Path) -> None:
    config = json.loads(images.build(spec(base, code(tmp_path / "code"))).config)["config"]
    assert config["Cmd"] == ["python3"]
    assert "Entrypoint" not in config


# --- outputs --------------------------------------------------------------------------------------------


def test_a_layout_that_was_written_is_a_base(base: str, tmp_path: Path) -> None:
    first = images.build(spec(base, code(tmp_path / "code")))
    out = tmp_path / "out"
    assert images.write_layout(first, out, "v1") == first.manifest_digest
    assert images.write_layout(first, out, "v2") == first.manifest_digest
    for name in ("v1", "v2"):
        assert images.resolve(f"oci:{out}:{name}", platform="linux/amd64").digest == first.manifest_digest
    for path in (out / "blobs/sha256").iterdir():
        assert sha(path.read_bytes()) == f"sha256:{path.name}"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(ImageError, match="is no OCI layout"):
        images.write_layout(first, tmp_path / "other")
    with pytest.raises(ImageError, match="Cannot write"):
        images.write_layout(first, Path("/proc/none"))


def test_an_archive_holds_what_docker_looks_for(base: str, tmp_path: Path) -> None:
    found = images.build(spec(base, code(tmp_path / "code")))
    images.write_archive(found, tmp_path / "image.tar", "team/x:1")
    tree = unpack((tmp_path / "image.tar").read_bytes(), tmp_path / "tree")
    (entry,) = json.loads((tree / "manifest.json").read_bytes())
    assert entry["RepoTags"] == ["team/x:1"]
    assert sha((tree / entry["Config"]).read_bytes()) == found.config_digest
    digests = [sha((tree / name).read_bytes()) for name in entry["Layers"]]
    assert digests == [each.blob.digest for each in found.layers]
    with pytest.raises(ImageError, match="Cannot write"):
        images.write_archive(found, tmp_path / "none/image.tar", "x")


def test_what_nobody_used_for_long_goes(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    old, new = cache.put(b"old"), cache.put(b"new")
    os.utime(cache.path(old), (1, 1))
    assert cache.prune() == 1
    assert cache.find(old) is None
    assert cache.find(new) is not None


def test_packages_that_another_one_has_taken_in_are_left_as_they_are(base: str, tmp_path: Path) -> None:
    vendored = "tool/_vendor/inner-2.0.dist-info"
    files = {
        **TOOL_FILES,
        f"{vendored}/METADATA": "Metadata-Version: 2.1\nName: inner\nVersion: 2.0\n",
        f"{vendored}/RECORD": "inner.py,,\n",
        f"{vendored}/entry_points.txt": "[console_scripts]\ntool-run = inner:main\n",
    }
    tool = wheel(tmp_path / "wheels", "tool", files)
    packages = images.PackagesSpec(lock=lock(tool), offline=True)
    found = images.build(spec(base, code(tmp_path / "code"), packages=packages))
    env = unpack(layer(found, "packages"), tmp_path / "tree") / "mlflow/projects/env"
    site = env / "lib/python3.11/site-packages"
    assert sorted(path.name for path in site.glob("*.dist-info")) == ["tool-1.0.dist-info"]
    assert (site / vendored / "RECORD").read_text() == "inner.py,,\n"
    assert "from tool.main import app" in (env / "bin/tool-run").read_text()
