from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proj import inputs, process
from proj.errors import StoreError
from proj.inputs import Input, InputFile, InputsRecord
from proj.model import BoundParameter, ParameterKind
from projkit import ProjFolder, write

if TYPE_CHECKING:
    from pathlib import Path


def of(path: Path, kind: ParameterKind = ParameterKind.PATH) -> BoundParameter:
    return BoundParameter(name="data", given=path.name, value=str(path), kind=kind)


def measured(path: Path) -> Input:
    (found,) = inputs.measure([of(path)]).inputs
    return found


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"1,2\n")
    found = measured(path)
    assert (found.kind, found.digest, found.size_bytes, found.reason) == ("file", sha256(b"1,2\n"), 4, None)


def test_a_folder_is_known_by_what_sha256sum_says_of_its_files(tmp_path: Path) -> None:
    write(tmp_path, {"data/b": b"2", "data/a/x y": b"1", "data/a-": b"3", "data/é": b"4"})
    (tmp_path / "data/empty").mkdir()
    found = measured(tmp_path / "data")
    lines = process.run(
        ["bash", "-c", "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum"],
        cwd=tmp_path / "data",
        env={"LC_ALL": "C"},
    ).stdout
    assert found.digest == sha256(lines.encode("utf-8", "surrogateescape"))
    assert (found.kind, found.files, found.size_bytes) == ("folder", 4, 4)
    assert [file.path for file in found.tree] == ["a-", "a/x y", "b", "é"]


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8).filter(
            lambda name: name not in (".", "..")
        ),
        st.binary(max_size=4),
        max_size=5,
    )
)
@settings(max_examples=40, deadline=None)
def test_the_digest_of_a_folder_tells_any_two_apart(files: dict[str, bytes]) -> None:
    tree = [InputFile(path=name, digest=sha256(data)) for name, data in sorted(files.items())]
    digest = inputs.tree_digest(tree)
    assert digest == inputs.tree_digest(list(tree))
    for index, file in enumerate(tree):
        renamed = InputFile(path=f"{file.path}x", digest=file.digest)
        changed = InputFile(path=file.path, digest=sha256(files[file.path] + b"x"))
        for other in (renamed, changed):
            assert inputs.tree_digest([*tree[:index], other, *tree[index + 1 :]]) != digest
        assert inputs.tree_digest(tree[:index] + tree[index + 1 :]) != digest


def test_a_name_with_a_newline_is_not_two_names() -> None:
    one = [InputFile(path=f"a\n{'0' * 64}  b", digest=sha256(b""))]
    two = [InputFile(path="a", digest=sha256(b"")), InputFile(path="b", digest="sha256:" + "0" * 64)]
    assert inputs.tree_digest(one) != inputs.tree_digest(two)


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path, {"data/a": b"1", "elsewhere/b": b"2"})
    (tmp_path / "data/link").symlink_to("a")
    (tmp_path / "data/folder").symlink_to("../elsewhere")
    (tmp_path / "data/loop").symlink_to(".")
    (tmp_path / "data/gone").symlink_to("nowhere")
    found = {file.path: file.digest for file in measured(tmp_path / "data").tree}
    assert found == {
        "a": sha256(b"1"),
        "link": sha256(b"1"),
        "folder/b": sha256(b"2"),
        "loop": None,
        "gone": None,
    }


def test_neither_file_nor_folder_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = measured(tmp_path / "pipe")
    assert (found.kind, found.digest) == ("other", None)
    assert found.reason == "it is neither a file nor a folder"
    write(tmp_path, {"data/a": b"1"})
    os.mkfifo(tmp_path / "data" / "pipe")
    assert {file.path: file.digest is None for file in measured(tmp_path / "data").tree} == {
        "a": False,
        "pipe": True,
    }


def test_what_is_not_there_has_a_reason(tmp_path: Path) -> None:
    found = measured(tmp_path / "none")
    assert (found.kind, found.digest) == ("missing", None)
    assert found.reason == "it cannot be read: No such file or directory"


def test_only_files_and_folders_are_inputs(tmp_path: Path) -> None:
    assert inputs.measure([of(tmp_path / "x", ParameterKind.URI)]).inputs == ()


def test_what_is_too_large_is_noted_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_BYTES", 10)
    write(tmp_path, {"large": b"x" * 11, "six": b"x" * 6, "five": b"x" * 5})
    (large,) = inputs.measure([of(tmp_path / "large")]).inputs
    assert (large.digest, large.size_bytes, large.stamp) == (None, 11, None)
    assert large.reason is not None
    assert large.reason.startswith("larger than ")
    assert large.modified_ms is not None
    # the limit holds for all inputs together, and one that does not fit leaves room for those after it
    both = inputs.measure([of(tmp_path / "six"), of(tmp_path / "five"), of(tmp_path / "large")])
    assert [each.digest is None for each in both.inputs] == [False, True, True]


def test_too_many_files_are_not_even_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_FILES", 3)
    write(tmp_path, {f"data/{number}": b"" for number in range(4)})
    found = measured(tmp_path / "data")
    assert (found.digest, found.size_bytes, found.files, found.stamp) == (None, None, None, None)


class TestLarge:
    """Larger than what is read before the command starts."""

    @pytest.fixture(autouse=True)
    def _large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inputs, "SMALL_BYTES", 3)

    def test_it_is_read_later(self, tmp_path: Path) -> None:
        write(tmp_path, {"data": b"12345"})
        before = inputs.measure([of(tmp_path / "data")])
        assert before.pending
        assert (before.inputs[0].digest, before.inputs[0].reason) == (None, inputs.NOT_READ)
        after = inputs.complete(msgspec.json.decode(msgspec.json.encode(before), type=InputsRecord))
        assert not after.pending
        assert (after.inputs[0].digest, after.inputs[0].reason) == (sha256(b"12345"), None)

    @pytest.mark.parametrize("how", ["rewritten", "replaced", "removed", "time put back"])
    def test_what_was_touched_meanwhile_has_no_digest(self, tmp_path: Path, how: str) -> None:
        path = tmp_path / "data"
        path.write_bytes(b"12345")
        state = path.stat()
        before = inputs.measure([of(path)])
        if how == "replaced":
            (tmp_path / "new").write_bytes(b"54321")
            (tmp_path / "new").replace(path)
        elif how == "removed":
            path.unlink()
        else:
            path.write_bytes(b"54321")
        if how == "time put back":
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        (found,) = inputs.complete(before).inputs
        assert found.digest is None
        assert found.reason in (inputs.CHANGED, "it cannot be read: No such file or directory")

    def test_who_must_stop_says_so(self, tmp_path: Path) -> None:
        write(tmp_path, {"data": b"12345"})
        (found,) = inputs.complete(inputs.measure([of(tmp_path / "data")]), lambda: True).inputs
        assert (found.digest, found.reason) == (None, inputs.NOT_READ)

    def test_a_run_records_what_was_read_while_it_ran(self, folder: ProjFolder) -> None:
        project(folder, "sleep 0.1; cat {data}")
        assert folder.run("run", ".", "-P", "data=data.txt").code == 0
        (found,) = recorded(folder).inputs
        assert (found.digest, found.reason) == (sha256(b"first"), None)

    def test_a_run_that_changes_its_input_has_no_digest_of_the_new_bytes(self, folder: ProjFolder) -> None:
        project(folder, "echo second > {data}")
        assert folder.run("run", ".", "-P", "data=data.txt").code == 0
        (found,) = recorded(folder).inputs
        assert found.digest in (None, sha256(b"first"))

    def test_a_detached_run_too(self, folder: ProjFolder) -> None:
        project(folder, "cat {data}")
        (folder.path / "data.txt").write_bytes(b"x" * (65 << 20))  # its process knows of no patch
        assert folder.process("run", ".", "-P", "data=data.txt", "--no-wait").code == 0
        assert folder.process("wait", "latest").code == 0
        (found,) = recorded(folder).inputs
        assert found.digest == sha256(b"x" * (65 << 20))


def project(folder: ProjFolder, command: str) -> None:
    folder.write(
        {
            "MLproject": "name: demo\nentry_points:\n  main:\n    parameters: {data: path}\n"
            f'    command: "{command}"\n',
            "data.txt": "first",
        }
    )


def recorded(folder: ProjFolder) -> InputsRecord:
    return inputs.read(folder.artifact(folder.the_run(), "proj/inputs.json"))


def test_a_run_records_its_inputs_before_it_starts(folder: ProjFolder) -> None:
    project(folder, "echo second > {data}")
    assert folder.run("run", ".", "-P", "data=data.txt").code == 0
    (found,) = recorded(folder).inputs
    assert (found.parameter, found.path) == ("data", str(folder.path / "data.txt"))
    assert found.digest == sha256(b"first")
    assert (folder.path / "data.txt").read_text() == "second\n"


def test_a_record_that_is_newer_or_damaged_is_refused() -> None:
    with pytest.raises(StoreError, match="upgrade proj"):
        inputs.read(b'{"format": 2}')
    with pytest.raises(StoreError, match="damaged"):
        inputs.read(b'{"format": ')
