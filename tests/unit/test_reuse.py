from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from proj import reuse
from proj.inputs import Input, InputsRecord
from proj.model import (
    BoundParameter,
    Checkout,
    DockerDeclaration,
    EnvironmentFacts,
    HostRuntime,
    ImageRuntime,
    LeftOut,
    Package,
    ParameterKind,
    PreparedEnvironment,
    Snapshot,
    SourcePart,
)

LOCKED = PreparedEnvironment(
    kind="python", summary="", runtime=HostRuntime(), lock_digest="sha256:1", python_version="3.11.7"
)
FACTS = EnvironmentFacts(python_version="3.11.7", packages=(Package(name="six", version="1.0"),))


def digest(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "tree": "1" * 40,
        "checkout": Checkout(uri=".", kind="local", root=Path("/tree"), project_dir=Path("/tree/sub")),
        "entry_point": "main",
        "line": "echo 1",
        "parameters": (BoundParameter(name="n", given="1", value="1"),),
        "inputs": InputsRecord(),
        "prepared": LOCKED,
        "facts": None,
        **changes,
    }
    return reuse.digest(reuse.parts(**fields))


def test_it_is_the_same_for_the_same() -> None:
    assert digest() == digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"tree": "2" * 40},
        {
            "checkout": Checkout(
                uri=".", kind="local", root=Path("/tree"), project_dir=Path("/tree"), subdir="s"
            )
        },
        {"line": "echo '1'"},
        {"large_files": ("m.bin",)},
        {"entry_point": "train"},
        {"parameters": (BoundParameter(name="n", given="2", value="2"),)},
        {"parameters": (BoundParameter(name="m", given="1", value="1"),)},
        {"parameters": ()},
        {"prepared": msgspec.structs.replace(LOCKED, lock_digest="sha256:2")},
        {"prepared": msgspec.structs.replace(LOCKED, python_version="3.11.8")},
        {"prepared": msgspec.structs.replace(LOCKED, runtime=HostRuntime(variables={"LANG": "xx"}))},
        {"prepared": msgspec.structs.replace(LOCKED, runtime=ImageRuntime(image="i", digest="sha256:3"))},
        {"prepared": msgspec.structs.replace(LOCKED, lock_digest=None), "facts": FACTS},
    ],
)
def test_each_part_makes_it_another(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()


def test_variables_that_decide_nothing_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    monkeypatch.setenv("PROJ_RUN_ID", "x")
    assert digest() == before
    monkeypatch.setenv("OMP_NUM_THREADS", "61")
    assert digest() != before


def test_an_input_is_known_by_its_content() -> None:
    def with_input(path: str, content: str | None) -> str:
        bound = BoundParameter(name="data", given=path, value=path, kind=ParameterKind.PATH)
        found = Input(parameter="data", path=path, kind="file", digest=content, reason="too large")
        return digest(parameters=(bound,), inputs=InputsRecord(inputs=(found,)))

    assert with_input("/a", "sha256:1") == with_input("/b", "sha256:1") != with_input("/a", "sha256:2")
    with pytest.raises(reuse.UnknownPartError, match="too large"):
        with_input("/a", None)


def test_what_is_not_known_has_no_digest() -> None:
    uri = BoundParameter(name="u", given="s3://b/k", value="s3://b/k", kind=ParameterKind.URI)
    with pytest.raises(reuse.UnknownPartError, match="not looked at"):
        digest(parameters=(uri,))
    bare = msgspec.structs.replace(LOCKED, lock_digest=None)
    with pytest.raises(reuse.UnknownPartError, match="environment"):
        digest(prepared=bare, facts=EnvironmentFacts())
    with pytest.raises(reuse.UnknownPartError, match="no digest"):
        digest(prepared=msgspec.structs.replace(LOCKED, runtime=ImageRuntime(image="i")))


def boxed(*docker_args: tuple[str, str | None], **declared: Any) -> str:
    docker = DockerDeclaration(image="i", **declared) if declared else None
    runtime = ImageRuntime(image="i", image_id="sha256:3", docker=docker)
    return digest(prepared=msgspec.structs.replace(LOCKED, runtime=runtime), docker_args=docker_args)


def test_what_a_container_gets_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_TEST_MODE", "slow")
    copied = {"environment": (("PROJ_TEST_MODE", None),)}
    before = boxed(("e", "PROJ_TEST_MODE")), boxed(**copied)
    others = {boxed(), boxed(("e", "MODE=a")), boxed(("e", "MODE=b")), boxed(("gpus", "all")), *before}
    assert len(others) == 6
    assert boxed(environment=(("MODE", "a"),)) == boxed()  # it stands in the code
    monkeypatch.setenv("PROJ_TEST_MODE", "quick")
    assert not {boxed(("e", "PROJ_TEST_MODE")), boxed(**copied)} & set(before)
    for given in ((("v", "/data:/data"),), (("mount", "type=bind,source=/a,target=/b"),)):
        with pytest.raises(reuse.UnknownPartError, match="volumes"):
            boxed(*given)
    with pytest.raises(reuse.UnknownPartError, match="volumes"):
        boxed(volumes=("/data:/data",))


@pytest.mark.parametrize("argument", ["env-file={}", "--env-file={}", "security-opt=seccomp={}"])
def test_what_a_container_s_files_hold_counts(argument: str, tmp_path: Path) -> None:
    def given(content: str, file: str = "f") -> str:
        (tmp_path / file).write_text(content)
        name, _, value = argument.format(tmp_path / file).partition("=")
        return boxed((name, value))

    assert given("X=1\n") == given("X=1\n", file="g") != given("X=2\n")
    (tmp_path / "f").unlink()
    with pytest.raises(reuse.UnknownPartError, match="No such file"):
        boxed(("env-file", str(tmp_path / "f")))


def test_a_variable_that_a_container_s_file_copies_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("PROJ_TEST_MODE\n")
    monkeypatch.setenv("PROJ_TEST_MODE", "slow")
    before = boxed(("env-file", str(tmp_path / "f")))
    monkeypatch.setenv("PROJ_TEST_MODE", "quick")
    assert boxed(("env-file", str(tmp_path / "f"))) != before


def test_the_path_of_an_input_is_no_part_of_the_command_and_its_quotes_are() -> None:
    def with_line(path: str, line: str) -> str:
        bound = BoundParameter(name="data", given=path, value=path, kind=ParameterKind.PATH)
        found = Input(parameter="data", path=path, kind="file", digest="sha256:1")
        return digest(parameters=(bound,), inputs=InputsRecord(inputs=(found,)), line=line)

    assert with_line("/a b", 'cat "/a b"') == with_line("/c d", 'cat "/c d"')
    assert with_line("/a b", 'cat "/a b"') != with_line("/a b", "cat \"'/a b'\"")


DIRECTORY = '[[packages]]\nname = "mylib"\ndirectory = {{ path = "{}" }}\n'
WHEEL = '[[packages]]\nname = "mylib"\nwheels = [{{ path = "../../w/mylib-1-py3-none-any.whl"{} }}]\n'


@pytest.mark.parametrize(
    ("lock", "known"),
    [
        (DIRECTORY.format("."), True),
        (DIRECTORY.format("../lib"), True),
        (DIRECTORY.format("../../lib"), False),
        (DIRECTORY.format("../../tree2"), False),
        (DIRECTORY.format("/elsewhere"), False),
        (DIRECTORY.format("../../lib").replace('"../../lib"', "'../../lib'"), False),
        (WHEEL.format(', hashes = { sha256 = "00" }'), True),
        (WHEEL.format(""), False),
    ],
)
def test_locked_packages_have_to_be_in_the_tree_or_to_have_a_digest(lock: str, *, known: bool) -> None:
    prepared = msgspec.structs.replace(LOCKED, lock=lock.encode())
    if known:
        assert digest(prepared=prepared) == digest()
    else:
        with pytest.raises(reuse.UnknownPartError, match=r"package mylib comes from .*no part of the code"):
            digest(prepared=prepared)


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("-e /tree/lib", True),
        ("-e /lib", False),
        ("-e /tree/../lib", False),
        ("/tree/lib", False),  # a copy, made at some time
        ("git+https://host/mylib@5f3c", True),
        ("https://host/mylib.whl#sha256=00", True),
        ("https://host/mylib.whl", False),
    ],
)
def test_so_have_those_that_are_installed(source: str, *, known: bool) -> None:
    bare = msgspec.structs.replace(LOCKED, lock_digest=None)
    one = Package(name="mylib", version="1", source=source)
    found = msgspec.structs.replace(FACTS, packages=(one,))
    if known:
        plain = msgspec.structs.replace(FACTS, packages=(msgspec.structs.replace(one, source=None),))
        assert digest(prepared=bare, facts=found) != digest(prepared=bare, facts=plain)
    else:
        with pytest.raises(reuse.UnknownPartError, match="package mylib was installed from"):
            digest(prepared=bare, facts=found)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("PYTHONPATH", "", True),
        ("PYTHONPATH", "/tree/src:.", True),
        ("PYTHONPATH", "../src:/other", False),
        ("PYTHONPATH", "../..", False),
        ("PYTHONSTARTUP", "/other/start.py", False),
        ("R_LIBS", "/other", False),
        ("LD_PRELOAD", "libx.so", False),
    ],
)
def test_variables_load_code_only_from_the_tree(
    name: str, value: str, *, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest()
    monkeypatch.setenv(name, value)
    if known:
        assert (digest() == before) is (not value)
        return
    with pytest.raises(reuse.UnknownPartError, match=f"{name} is set"):
        digest()
    image = msgspec.structs.replace(LOCKED, runtime=ImageRuntime(image="i", digest="sha256:3"))
    assert digest(prepared=image)  # those of this machine do not reach into a container


def test_variables_that_the_line_reads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    line = 'python a.py "$DATA_DIR" ${WHERE:-here} $PROJ_ARTIFACTS $PATH $HELD'
    held = msgspec.structs.replace(LOCKED, runtime=HostRuntime(variables={"HELD": "1"}))
    plain, digests = digest(), []
    for value in (None, "", "/a", "/b"):
        if value is not None:
            for name in ("DATA_DIR", "HELD", "PROJ_ARTIFACTS", "OTHER"):
                monkeypatch.setenv(name, value)
        digests.append(digest(line=line, prepared=held))
        assert digest() == plain
    assert len(set(digests)) == len(digests)
    for name in ("HELD", "PROJ_ARTIFACTS", "PATH", "OTHER"):
        monkeypatch.setenv(name, "another")
        assert digest(line=line, prepared=held) == digests[-1]


def test_devices_do_not_count_but_that_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = digest()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert digest() == before
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert digest() != before


def test_values_need_not_be_text() -> None:
    odd = BoundParameter(name="n", given="caf\udce9", value="caf\udce9")
    assert digest(parameters=(odd,)) == digest(parameters=(odd,)) != digest()


@pytest.mark.parametrize(
    ("left_out", "whole"),
    [
        ((), True),
        ((LeftOut(path="a", reason="ignored", detail=""),), True),
        ((LeftOut(path="a", reason="ignored", detail="", committed=True),), False),
        ((LeftOut(path="a", reason="secret", detail=""),), False),
    ],
)
def test_code_is_whole_if_only_what_was_ignored_is_missing(
    left_out: tuple[LeftOut, ...], whole: bool
) -> None:
    root = SourcePart(tree="1" * 40, link="1" * 40)
    assert reuse.is_whole(Snapshot(root=root, left_out=left_out)) is whole
    assert not reuse.is_whole(None)
