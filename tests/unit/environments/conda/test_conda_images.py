"""Conda environments as layers of images: on base images that hold next to nothing, and run nowhere."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from conda_kit import PLACEHOLDER, CondaPackage, make_channel, module_package
from environment_kit import with_wheels, write_wheel
from imagekit import Sample, tar
from proj import building, images, paths
from proj.building import BuildRequest
from proj.environments.conda.layer import _own_index, activation
from proj.environments.imaged import base_name, contents_for, declared_packages
from proj.errors import EnvironmentFailedError, UsageError
from proj.images.blobs import BlobCache
from proj.model import ImageRequest
from proj.process import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from environment_kit import RequestMaker
    from proj.environments.imaged import Contents
    from proj.images import BuiltImage
    from unit.environments.conda.conftest import CondaProjectMaker

GLIBC_236 = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u4) stable release version 2.36.\n"
ENV = "mlflow/projects/env/"


def base(folder: Path, *, libc: bytes = GLIBC_236, architecture: str = "amd64", **more: object) -> str:
    layer = tar({"usr/lib/x86_64-linux-gnu/libc.so.6": libc, "bin/sh": b"#!/bin/false\n"})
    return f"oci:{Sample(layer, architecture=architecture, **more).write(folder)}"  # type: ignore[arg-type]  # the tests name the fields


@pytest.fixture
def contents(request_for: RequestMaker, tmp_path: Path) -> Callable[..., Contents]:
    """Makes the contents of an image of a project."""

    def make(folder: Path, on: str | None = None, **changes: object) -> Contents:
        request = request_for(folder, **changes)
        declared = declared_packages(request)
        assert declared is not None
        resolved = images.resolve(on or base(tmp_path / "base"), platform=request.image.platform)
        return contents_for(declared, resolved, request)

    return make


def files(made: Contents) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(BlobCache().path(made.layers[0].diff_id)) as archive:
        return {member.name: member for member in archive}


def content(made: Contents, name: str) -> bytes:
    with tarfile.open(BlobCache().path(made.layers[0].diff_id)) as archive:
        found = archive.extractfile(name)
        assert found is not None
        return found.read()


def config_of(image: BuiltImage) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(image.config)["config"]
    return found


# --- what is in the layer ---------------------------------------------------------------------------------


def test_paths_are_those_of_the_image(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    made = contents(conda_project("python=3.9", "alpha<2", "tool"))
    found = files(made)
    assert content(made, f"{ENV}bin/tool") == b"#!/bin/sh\necho /mlflow/projects/env\n"
    assert found[f"{ENV}bin/tool"].mode == 0o755
    assert b"/mlflow/projects/env/share\0" in content(made, f"{ENV}lib/tool.bin")
    assert f"{ENV}lib/python3.9/site-packages/alpha.py" in found
    assert all((member.uid, member.gid, member.mtime) == (0, 0, 315619200) for member in found.values())
    whole = BlobCache().path(made.layers[0].diff_id).read_bytes()
    assert str(paths.cache()).encode() not in whole
    assert PLACEHOLDER.encode() not in content(made, f"{ENV}bin/tool")
    assert (made.python, made.lock_name) == ("3.9.18", "conda-linux-64.lock")


def test_programs_of_packages_start_the_image_s_python(
    contents: Callable[..., Contents], conda_project: CondaProjectMaker, tmp_path: Path, channel: Path
) -> None:
    more = make_channel(
        tmp_path / "more", [module_package("prog", entry_points=["prog = prog:main"])]
    )  # fmt: skip
    head = f"channels: [{more.as_uri()}, {channel.as_uri()}, nodefaults]\n"
    made = contents(conda_project("python=3.9", "prog", head=head))
    first = content(made, f"{ENV}bin/prog").splitlines()[0]
    assert re.fullmatch(rb"#!/mlflow/projects/env/bin/python(3(\.9)?)?", first)


def test_the_bytes_are_the_same_whatever_the_cache_and_the_folder(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    folder = conda_project("python=3.9", "alpha<2", "tool")
    first = contents(folder)
    shutil.rmtree(paths.cache())
    shutil.copytree(folder, tmp_path / "elsewhere" / "p")
    lock = first.lock.encode()  # so that nothing is known of the packages but what they say
    second = contents(tmp_path / "elsewhere" / "p", lock=lock)
    assert second.layers[0].diff_id == first.layers[0].diff_id
    assert second.lock_digest == first.lock_digest


def test_compiled_files_of_sources_that_are_there_are_left_out(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path, channel: Path
) -> None:
    site = "lib/python3.9/site-packages"
    package = CondaPackage(
        name="compiled",
        files={
            f"{site}/one.py": "1\n",
            f"{site}/__pycache__/one.cpython-39.pyc": b"\0x",
            f"{site}/__pycache__/two.cpython-39.pyc": b"\0y",
        },
    )
    more = make_channel(tmp_path / "more", [package])
    made = contents(conda_project("compiled", head=f"channels: [{more.as_uri()}, {channel.as_uri()}]\n"))
    found = files(made)
    assert f"{ENV}{site}/one.py" in found
    assert f"{ENV}{site}/__pycache__/one.cpython-39.pyc" not in found
    assert f"{ENV}{site}/__pycache__/two.cpython-39.pyc" in found
    record = json.loads(content(made, f"{ENV}conda-meta/compiled-1.0-0.json"))
    assert f"{site}/__pycache__/one.cpython-39.pyc" not in record["files"]
    assert record["name"] == "compiled"


def test_post_link_scripts_are_told(
    conda_project: CondaProjectMaker,
    contents: Callable[..., Contents],
    tmp_path: Path,
    channel: Path,
    heard: list[str],
) -> None:
    script = f"#!/bin/sh\necho ran >> {tmp_path}/ran\n"
    package = CondaPackage(name="linked", files={"bin/.linked-post-link.sh": script})
    more = make_channel(tmp_path / "more", [package])
    head = f"channels: ['{more.as_uri()}', '{channel.as_uri()}', nodefaults]\n"
    folder = conda_project()
    tail = with_wheels(folder, ("tiny", "1.0"))  # around which the conda packages are linked once more
    folder = conda_project("linked", "python=3.9", head=head, tail=tail)
    for _ in range(2):
        made = contents(folder)
        assert any("post-link scripts of linked" in note for note in made.notes)
    assert sum("post-link scripts of linked" in line for line in heard) == 2
    assert sum("step: Installing" in line for line in heard) == 1, "it is made once"
    assert not (tmp_path / "ran").exists(), "neither for the image nor for its lock"


def test_a_record_is_that_of_the_package_itself(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], channel: Path
) -> None:
    """Beside the package's folder in the cache there may be others whose names begin like its own."""
    folder = conda_project("tool", head=f"channels: ['{channel.as_uri()}', nodefaults]\n")
    own = json.loads(content(contents(folder), f"{ENV}conda-meta/tool-1.0-0.json"))
    other = paths.cache() / "conda" / "packages" / "tool-1.0-0" / "info" / "index.json"
    assert own["arch"] == "x86_64"
    for place, changes in (("tool-1.0-0-other", {}), ("tool-1.0-0", {"build_number": 9})):
        target = paths.cache() / "conda" / "packages" / place / "info" / "index.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        changed = {**json.loads(other.read_bytes()), "arch": "hostile", **changes}
        assert _own_index({**own, "extracted_package_dir": str(other.parent.parent)})["arch"] == "x86_64"
        target.write_text(json.dumps(changed))
    assert _own_index({**own, "extracted_package_dir": str(other.parent.parent)}) == {}
    assert _own_index(own) == {}


# --- the `pip:` section -----------------------------------------------------------------------------------


def test_pip_packages_come_over_conda_s(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents]
) -> None:
    folder = conda_project()
    tail = with_wheels(folder, ("alpha", "3.0"), ("tiny", "1.0"))
    made = contents(conda_project("python=3.9", "alpha<2", "pip", tail=tail))
    found, site = files(made), f"{ENV}lib/python3.9/site-packages"
    assert content(made, f"{site}/alpha.py") == b"version = '3.0'\n"
    infos = {name.split("/")[6] for name in found if name.startswith(f"{site}/") and "-info/" in name}
    assert {"alpha-3.0.dist-info", "tiny-1.0.dist-info"} <= infos
    assert "alpha-1.0.dist-info" not in infos
    assert f"{ENV}pyvenv.cfg" not in found
    assert '# | name = "tiny"' in made.lock


def test_pip_packages_for_an_image_are_not_those_for_here(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents]
) -> None:
    folder = conda_project()
    tail = with_wheels(folder, ("tiny", "1.0"))
    other = folder / "wheels" / "tiny-2.0-py3-none-manylinux_2_39_x86_64.whl"
    shutil.copy(write_wheel(folder.parent, "tiny", "2.0"), other)
    made = contents(conda_project("python=3.9", "tool", tail=tail.replace("tiny==1.0", "tiny")))
    assert '# | version = "1.0"' in made.lock, "2.0 needs a newer glibc than the image has"


def test_folders_of_this_machine_are_refused(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], local_package: Path
) -> None:
    folder = conda_project("python=3.9", "alpha", "pip", tail="- pip:\n    - ./package\n")
    shutil.copytree(local_package, folder / "package")
    with pytest.raises(EnvironmentFailedError, match="installs the folder `package` as a package"):
        contents(folder)


# --- solved for the image, not for this machine -----------------------------------------------------------


def test_what_the_image_has_decides(
    conda_project: CondaProjectMaker,
    contents: Callable[..., Contents],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs = {"2": "__glibc >=2.36", "3": "__glibc >=2.37", "4": "__cuda >=12", "5": "__glibc >=3"}
    packages = [CondaPackage(name="lib", version=version, depends=(need,)) for version, need in needs.items()]
    more = make_channel(tmp_path / "more", packages)
    folder = conda_project("lib", head=f"channels: [{more.as_uri()}, nodefaults]\n")
    assert "/lib-2-0.conda" in contents(folder).lock
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12.4")
    assert "/lib-4-0.conda" in contents(folder).lock
    monkeypatch.setenv("CONDA_OVERRIDE_GLIBC", "3.0")
    assert "/lib-5-0.conda" in contents(folder).lock


@pytest.mark.parametrize(
    ("need", "hint"), [("__cuda >=11", "CONDA_OVERRIDE_CUDA"), ("__glibc >=9", "newer glibc")]
)
def test_what_the_image_lacks_is_told(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path, need: str, hint: str
) -> None:
    more = make_channel(tmp_path / "more", [CondaPackage(name="lib", depends=(need,))])
    folder = conda_project("lib", head=f"channels: [{more.as_uri()}, nodefaults]\n")
    with pytest.raises(EnvironmentFailedError, match=r"lib 1\.0 cannot be installed") as caught:
        contents(folder, target="engine")
    assert hint in (caught.value.hint or "")


def test_another_platform_than_this_machine_s(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    shell = "#!/bin/sh\n"
    python = CondaPackage(
        name="python", version="3.9.1", build="h1_0", subdir="linux-aarch64", files={"bin/python": shell}
    )
    more = make_channel(tmp_path / "more", [python, module_package("alpha"), module_package("pip", "23.0")])
    folder = conda_project()
    tail = with_wheels(folder, ("tiny", "1.0"))
    arm = folder / "wheels" / "tiny-1.5-py3-none-manylinux_2_17_aarch64.whl"
    shutil.copy(write_wheel(folder.parent, "tiny", "1.5"), arm)
    head = f"channels: [{more.as_uri()}, nodefaults]\n"
    folder = conda_project("python", "alpha", "pip", head=head, tail=tail.replace("tiny==1.0", "tiny"))
    image = ImageRequest(platform="linux/arm64")
    made = contents(folder, base(tmp_path / "arm", architecture="arm64"), image=image)
    assert made.lock_name == "conda-linux-aarch64.lock"
    assert "/linux-aarch64/python-3.9.1-h1_0.conda" in made.lock
    assert content(made, f"{ENV}lib/python3.9/site-packages/tiny.py") == b"version = '1.5'\n"


def test_a_lock_for_several_platforms(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    tools = [
        CondaPackage(name="tool", version=f"{number}", subdir=subdir, files={"bin/tool": "#!/bin/sh\n"})
        for number, subdir in enumerate(("linux-64", "linux-aarch64"))
    ]
    more = make_channel(tmp_path / "more", tools)
    entries = [
        {"name": "tool", "version": each.version, "manager": "conda", "platform": each.subdir,
         "url": f"{more.as_uri()}/{each.subdir}/{each.file_name}", "hash": {
             "sha256": hashlib.sha256((more / each.subdir / each.file_name).read_bytes()).hexdigest()}}
        for each in tools
    ]  # fmt: skip
    folder = conda_project("tool")
    (folder / "conda-lock.yml").write_text(json.dumps({"version": 1, "package": entries}))
    arm = base(tmp_path / "arm", architecture="arm64")
    assert "/tool-0-0.conda" in contents(folder).lock
    assert "/tool-1-0.conda" in contents(folder, arm, image=ImageRequest(platform="linux/arm64")).lock


def test_a_lock_of_the_image_s_platform_is_taken(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], channel: Path
) -> None:
    folder = conda_project("python=3.9", "alpha")
    urls = [f"{channel.as_uri()}/linux-64/python-3.9.7-h1_0.conda"]
    (folder / "conda-linux-64.lock").write_text("@EXPLICIT\n" + "\n".join(urls) + "\n")
    (folder / "conda-linux-aarch64.lock").write_text("@EXPLICIT\n")
    assert contents(folder).python == "3.9.7"


def test_secrets_of_channels_are_not_in_the_image(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], secret_channel: str
) -> None:
    made = contents(conda_project("tool", head=secret_channel))
    assert b"5ecret" not in BlobCache().path(made.layers[0].diff_id).read_bytes()
    assert "5ecret" not in made.lock


# --- what cannot be done ----------------------------------------------------------------------------------


def test_musl_and_unknown_machines_are_refused(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    folder = conda_project("tool")
    musl = Sample(tar({"lib/ld-musl-x86_64.so.1": b""})).write(tmp_path / "musl")
    with pytest.raises(EnvironmentFailedError, match="conda packages need glibc") as caught:
        contents(folder, f"oci:{musl}")
    assert "debian:12-slim" in (caught.value.hint or "")
    image = ImageRequest(platform="linux/riscv64")
    with pytest.raises(EnvironmentFailedError, match="no conda packages for linux/riscv64"):
        contents(folder, base(tmp_path / "odd", architecture="riscv64"), image=image)


def test_a_conda_program_is_refused(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    request = request_for(conda_project("tool"), conda_exe="/opt/micromamba", target="engine")
    with pytest.raises(EnvironmentFailedError, match="for this machine alone") as caught:
        declared_packages(request)
    assert "Leave out --conda-exe" in (caught.value.hint or "")


def test_the_base_needs_no_python(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    folder = conda_project("python=3.9", "tool")
    assert base_name(declared_packages(request_for(folder)), request_for(folder)) == "debian:12-slim"
    other = request_for(folder, image=ImageRequest(base="team/base:1"))
    assert base_name(declared_packages(other), other) == "team/base:1"
    by_uv = request_for(folder, manager="uv", drop_missing=True)
    assert base_name(declared_packages(by_uv), by_uv) == "python:3.9-slim"


# --- whole images -----------------------------------------------------------------------------------------


def write_projectfile(folder: Path) -> None:
    (folder / "MLproject").write_text(
        "name: p\nconda_env: conda.yaml\nentry_points: {main: {command: tool}}\n"
    )


def test_an_image_of_a_project(conda_project: CondaProjectMaker, tmp_path: Path) -> None:
    folder = conda_project("tool", tail="variables: {GREETING: hello}\n")
    write_projectfile(folder)
    env = ("PATH=/usr/bin:/bin", "VIRTUAL_ENV=/opt/venv", "KEPT=1")
    on = base(tmp_path / "base", env=env)
    (image,) = building.build(BuildRequest(uri=str(folder), base_image=on, variables={"MORE": "2"}))
    config = config_of(image)
    variables = dict(entry.split("=", 1) for entry in config["Env"])
    assert variables["PATH"] == "/mlflow/projects/env/bin:/usr/bin:/bin"
    assert variables["CONDA_PREFIX"] == variables["CONDA_DEFAULT_ENV"] == "/mlflow/projects/env"
    assert (variables["GREETING"], variables["KEPT"], variables["MORE"]) == ("hello", "1", "2")
    assert "VIRTUAL_ENV" not in variables
    assert config["Entrypoint"] == ["sh", "/mlflow/projects/activate", "/bin/sh", "/mlflow/projects/run"]
    shutil.copytree(folder, tmp_path / "copy")
    request = BuildRequest(uri=str(tmp_path / "copy"), base_image=on, variables={"MORE": "2"})
    assert building.build(request)[0].manifest_digest == image.manifest_digest
    packed = BuildRequest(uri=str(folder), base_image=on, compress=True)
    (other,) = building.build(packed)
    kinds = {layer.kind: layer.blob.mediaType for layer in other.layers}
    assert kinds["conda"].endswith("+gzip")


def test_the_daemon_does_not_install_them(conda_project: CondaProjectMaker, tmp_path: Path) -> None:
    folder = conda_project("tool")
    write_projectfile(folder)
    request = BuildRequest(uri=str(folder), base_image=base(tmp_path / "base"), builder="daemon")
    with pytest.raises(UsageError, match="does not install conda packages"):
        building.build(request)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_activation_is_that_of_this_machine(
    conda_project: CondaProjectMaker, contents: Callable[..., Contents], tmp_path: Path, shell: str
) -> None:
    made = contents(conda_project("tool"))
    root = tmp_path / "root"
    for name in files(made):
        if name == "mlflow/projects/activate" or "/etc/conda/" in name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if files(made)[name].isfile():
                (root / name).write_bytes(content(made, name))
    script = root / "mlflow/projects/activate"
    script.write_text(script.read_text().replace("/mlflow/projects/env", str(root / ENV)))
    variables: dict[str, str | None] = {
        "CONDA_PREFIX": "/mlflow/projects/env", "TOOL_UNWANTED": "1", "GREETING": "mine",
    }  # fmt: skip
    line = 'echo "$TOOL_HOME|$TOOL_MODE|$GREETING|${TOOL_UNWANTED-gone}|$*"; echo "$PATH"; exit 7'
    done = run([shell, str(script), "sh", "-c", line, "sh", "a b", "c"], env=variables, check=False)
    first, second = done.stdout.splitlines()
    assert first == "/mlflow/projects/env/share|fast|mine|gone|a b c"
    assert second.startswith("/mlflow/projects/env/extra:")
    assert (done.returncode, done.stderr) == (7, "noise\n"), "what scripts print is not the program's"


@pytest.mark.parametrize("ending", ["exit 3", "set -eu; false", "set -u; : $NOT_SET"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_script_that_ends_its_shell_ends_no_command(tmp_path: Path, shell: str, ending: str) -> None:
    scripts = tmp_path / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "a.sh").write_text("export FIRST=1; cd /\n")
    (scripts / "bad.sh").write_text(f"export BEFORE=1\n{ending}\n")
    (scripts / "z.sh").write_text('false; export LAST="$FIRST$BEFORE"\nset -eu\n')
    program = tmp_path / "activate"
    lines = activation(tmp_path, str(tmp_path)).splitlines(keepends=True)
    program.write_text("".join(line for line in lines if shell == "bash" or "BASH_VERSION" not in line))
    command = 'echo "$LAST|$#|$2|${PROJ_ACTIVATION-}|$PWD"; exit 7'
    done = run([shell, str(program), "sh", "-c", command, "sh", "a b", "c"], cwd=tmp_path, check=False)
    assert (done.stdout, done.returncode) == (f"11|2|c||{tmp_path}\n", 7)
    assert "activation script bad.sh of the conda environment ended" in done.stderr
