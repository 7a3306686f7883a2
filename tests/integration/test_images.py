"""Images in the real registry and the real docker engine: pushed, pulled, loaded, run."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from imagekit import Sample, tar
from proj import building, images, process
from proj.errors import ImageError
from proj.images import outputs, tarfiles
from proj.images.daemon import connected
from proj.images.dockerignore import IgnoreRules
from proj.images.values import LauncherSpec
from proj.model import EntryPoint, Parameter
from registrykit import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrykit import RealRegistry

PYTHON_BASE = os.environ.get("PROJ_TEST_PYTHON_IMAGE", "proj-test/python:3.11-slim")
NASTY = 'it\'s "x" $(touch /pwned) `id` \\ ;&|\n# é * ~'
PROGRAMS = ("/bin/sh", "/bin/cat", "/usr/bin/env")


def with_libraries(*programs: str) -> dict[str, bytes | str | None]:
    """Programs of this machine and what they are linked with: a base image that needs no network."""
    files: dict[str, bytes | str | None] = {}
    for program in programs:
        said = process.run(["ldd", program]).stdout
        for path in (program, *re.findall(r"(/\S+) \(0x", said)):
            files[path.lstrip("/")] = Path(path).read_bytes()
    return files


@pytest.fixture(scope="session")
def shell_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with a shell, as an OCI layout."""
    layers = (tar(with_libraries(*PROGRAMS)), tar({"etc": None, "etc/base": b"x"}))
    sample = Sample(*layers, env=("PATH=/usr/bin:/bin",))
    return f"oci:{sample.write(tmp_path_factory.mktemp('base') / 'layout')}"


def code(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "show.sh").write_text("printf '%s' \"$1\"; printf '|%s' \"$PWD\" > seen; cat seen\n")
    return folder


SHOW = EntryPoint(name="main", command="sh show.sh {text}", parameters=(Parameter(name="text", default="d"),))


def spec(base: str, root: Path, **options: Any) -> images.BuildSpec:
    launcher = LauncherSpec(entry_points=(SHOW,))
    return images.BuildSpec(base=base, code=images.CodeSpec(root=root), launcher=launcher, **options)


@pytest.fixture
def name() -> Iterator[str]:
    """A name for an image of the daemon, which has none of it afterwards."""
    found = f"proj-test/{uuid.uuid4().hex[:12]}:1"
    yield found
    docker("image", "rm", "-f", found, check=False)


def docker(*words: str, check: bool = True) -> process.Completed:
    """Call docker past the guard of tests that have no marker."""
    program = next(
        path
        for folder in os.environ["PATH"].split(os.pathsep)
        if (path := shutil.which("docker", path=folder)) and "guarded-programs" not in path
    )
    return process.run([program, *words], check=check, exact=True)


# --- the registry ---------------------------------------------------------------------------------------


@pytest.mark.registry
def test_an_image_is_pushed_once_and_its_base_is_mounted(
    registry: RealRegistry, shell_base: str, tmp_path: Path
) -> None:
    base = images.build(images.BuildSpec(base=shell_base, code=images.CodeSpec(root=code(tmp_path / "base"))))
    images.push(base, f"{registry.host}/base/shell:1")
    blobs = registry.folder / "docker/registry/v2/repositories/team/model/_layers/sha256"
    built = images.build(spec(f"{registry.host}/base/shell:1", code(tmp_path / "code")))
    pushed = images.push(built, f"{registry.host}/team/model:1")
    assert pushed == f"{registry.host}/team/model@{built.manifest_digest}"
    assert {path.name for path in blobs.iterdir()} >= {each.blob.digest[7:] for each in built.layers}
    assert images.push(built, f"{registry.host}/team/model:2") == pushed
    assert images.resolve(f"{registry.host}/team/model:2").digest == built.manifest_digest


@pytest.mark.registry
def test_nobody_vouches_for_a_certificate(shell_base: str, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    process.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files])
    tls = f", tls: {{certificate: {tmp_path}/cert, key: {tmp_path}/key}}"
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry", tls) as found:
        built = images.build(spec(shell_base, code(tmp_path / "code")))
        with pytest.raises(ImageError, match="cannot be trusted") as caught:
            images.push(built, f"{found.host}/x:1")
        assert "--insecure" in (caught.value.hint or "")
        assert images.push(built, f"{found.host}/x:1", insecure=True)


@pytest.mark.registry
@pytest.mark.docker
def test_docker_pulls_and_runs_what_was_pushed(
    registry: RealRegistry, shell_base: str, tmp_path: Path
) -> None:
    built = images.build(spec(shell_base, code(tmp_path / "code"), compress=True, labels={"of": "this test"}))
    reference = images.push(built, f"{registry.host}/team/run:1")
    docker("pull", "-q", reference)
    assert docker("run", "--rm", reference, f"text={NASTY}").stdout == f"{NASTY}|{images.CODE}"
    assert docker("inspect", reference, "--format", "{{.Id}}").stdout.strip() == built.config_digest
    docker("image", "rm", "-f", built.config_digest, check=False)


# --- the engine -----------------------------------------------------------------------------------------


@pytest.mark.docker
def test_an_image_that_is_loaded_runs(shell_base: str, tmp_path: Path, name: str) -> None:
    built = images.build(spec(shell_base, code(tmp_path / "code")))
    assert images.load(built, name) == built.config_digest
    assert docker("run", "--rm", name).stdout == f"d|{images.CODE}"
    assert docker("run", "--rm", name, "-P", f"text={NASTY}").stdout == f"{NASTY}|{images.CODE}"
    assert docker("run", "--rm", "-e", f"PROJ_PARAM_text={NASTY}", name).stdout == f"{NASTY}|{images.CODE}"
    assert docker("run", "--rm", "--user", "4321:4321", name).stdout == f"d|{images.CODE}"
    wrong = docker("run", "--rm", name, "text", check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("proj: Invalid format")


@pytest.mark.docker
def test_the_engine_gets_no_layer_that_it_has(
    shell_base: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    original = tarfiles.append

    def watched(path: str, content: Any) -> Any:
        if path == "manifest.json":
            sent.append([])
        if path.startswith("layers/"):
            sent[-1].append(path.partition("-")[0])
        return original(path, content)

    monkeypatch.setattr(outputs, "append", watched)
    (tmp_path / name.partition("/")[2]).touch()
    root = code(tmp_path / "code")
    (root / "unique").write_text(name)
    images.load(images.build(spec(shell_base, root)), name)
    assert sent[0] == []
    (root / "unique").write_text(f"{name} again")
    sent.clear()
    images.load(images.build(spec(shell_base, root)), name)
    assert sent == [[], ["layers/2", "layers/3"]]
    sent.clear()
    images.load(images.build(spec(shell_base, root)), name)
    assert sent == [[]]


@pytest.mark.docker
def test_an_image_of_the_engine_is_a_base(shell_base: str, tmp_path: Path, name: str) -> None:
    built = images.build(spec(shell_base, code(tmp_path / "code"), labels={"first": "1"}))
    images.load(built, name)
    again = images.build(spec(f"docker:{name}", code(tmp_path / "code"), labels={"second": "2"}))
    assert again.base_digest.startswith("sha256:")
    assert again.source.manifest.config.digest == built.config_digest
    assert json.loads(again.config)["config"]["Labels"] == {"first": "1", "second": "2"}
    with pytest.raises(ImageError, match="has no image proj-test/none") as caught:
        images.resolve("docker:proj-test/none:1")
    assert caught.value.code == "image_pull"


@pytest.mark.docker
def test_the_archive_is_one_that_docker_takes(shell_base: str, tmp_path: Path, name: str) -> None:
    built = images.build(spec(shell_base, code(tmp_path / "code")))
    images.write_archive(built, tmp_path / "image.tar", name)
    docker("load", "-q", "-i", str(tmp_path / "image.tar"))
    assert docker("run", "--rm", name).stdout == f"d|{images.CODE}"


PARTS = ("a", "b", "*", "**", "?", "/", "/", "!", ".", "..", "[a-b]", "ab", "#", "\\*", " ", "c.d", "*.d")
PATHS = ("a", "b", "ab", "c.d", "x/a", "x/b/c.d", "x/y/ab", "a/b", "#a", "*", "!a", ".a", "a b")


@pytest.mark.docker
def test_dockerignore_means_what_it_means_to_docker(shell_base: str, tmp_path: Path, name: str) -> None:
    """Random files of rules, each asked of `docker build` by what it copies."""
    images.load(images.build(spec(shell_base, code(tmp_path / "code"))), name)
    rng = random.Random(11)  # noqa: S311  test data
    compared = 0
    for number in range(60):
        context = tmp_path / f"context{number}"
        for path in PATHS:
            if not any(other.startswith(f"{path}/") for other in PATHS):
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                (context / path).touch()
        lines = ["".join(rng.choices(PARTS, k=rng.randrange(1, 5))) for _ in range(rng.randrange(1, 4))]
        try:
            rules = IgnoreRules("\n".join(lines), "x")
        except ImageError:
            continue
        files = sorted(path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file())
        (context / "Dockerfile").write_text(f"FROM {name}\nENTRYPOINT []\nCOPY . /seen/\n")
        (context / ".dockerignore").write_text("\n".join(lines))
        done = docker("build", "-q", str(context), check=False)
        if done.returncode != 0:
            assert not [each for each in files if not rules.ignores(each)] or "pattern" in done.stderr, lines
            continue
        image = done.stdout.strip()
        container = docker("create", image, "sh").stdout.strip()
        docker("cp", f"{container}:/seen", str(tmp_path / f"seen{number}"))
        docker("rm", container)
        docker("image", "rm", "-f", image)
        there = tmp_path / f"seen{number}"
        seen = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
        expected = {each for each in files if not rules.ignores(each)}
        assert seen - {"Dockerfile", ".dockerignore"} == expected, lines
        compared += 1
    assert compared > 20


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_package_without_a_wheel_is_built_by_the_engine(tmp_path: Path, name: str) -> None:
    if docker("image", "inspect", PYTHON_BASE, check=False).returncode != 0:
        pytest.skip(f"the engine has no {PYTHON_BASE}")
    (tmp_path / "MLproject").write_text(
        "python_env: python_env.yaml\nentry_points:\n  main:\n"
        "    command: \"python -c 'import sys, wget; print(sys.argv[1], wget.__version__)' {x}\"\n"
        "    parameters: {x: {default: d}}\n"
    )
    (tmp_path / "python_env.yaml").write_text(
        'python: "3.11"\nbuild_dependencies: [pip]\ndependencies: [wget==3.2]\n'
    )
    request = building.BuildRequest(uri=str(tmp_path), base_image=f"docker:{PYTHON_BASE}")
    with pytest.raises(ImageError, match="There is no wheel of wget"):
        building.build(request)
    (image,) = building.build(msgspec.structs.replace(request, builder="daemon"))
    images.load(image, name)
    assert docker("run", "--rm", "--user", "4321", name, "x=it's").stdout == "it's 3.2\n"


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_example_runs_in_an_image(tmp_path: Path, name: str) -> None:
    if docker("image", "inspect", PYTHON_BASE, check=False).returncode != 0:
        pytest.skip(f"the engine has no {PYTHON_BASE}")
    example = tmp_path / "example"
    shutil.copytree(Path(__file__).parents[2] / "examples/sklearn-elasticnet", example)
    request = building.BuildRequest(uri=str(example), base_image=f"docker:{PYTHON_BASE}")
    (image,) = building.build(request)
    images.load(image, name)
    said = docker("run", "--rm", name, "alpha=0.4").stdout
    assert re.search(r"(?m)^rmse: 53\.", said), said


@pytest.mark.docker
def test_the_engine_can_be_asked() -> None:
    with connected() as client:
        assert client.version()["ApiVersion"]
