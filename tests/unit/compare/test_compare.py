from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from comparekit import HOST, facts, unlike
from proj.compare import GROUPS, RunFacts, Settings, Status, compare, files
from proj.compare.facts import SourceFacts
from proj.compare.locks import PackageFacts, read_packages
from proj.compare.results import close
from proj.compare.rows import settings
from proj.inputs import Input, InputFile
from proj.model import LeftOut, Snapshot, SourcePart, Tolerance, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = {
    "series": {"loss": ((0, 0.5), (1, 0.25)), "count": ((0, 3.0),)},
    "files": {"model.pkl": b"m", "proj/stdout.log": b"hello\n"},
}


def whole(**changes: Any) -> RunFacts:
    return facts(**{**WHOLE, **changes})


def commit(**changes: Any) -> SourceFacts:
    return msgspec.structs.replace(facts().source or SourceFacts(), **changes)


def snapshot(tree: str) -> Snapshot:
    return Snapshot(root=SourcePart(tree=tree, link="1" * 40))


def test_a_run_is_the_same_as_itself() -> None:
    found = compare(whole(), whole(), Settings(stdout=True))
    assert not [row for row in found.rows if row.status is not Status.SAME]
    assert found.reproduced
    assert not found.differs
    assert {row.group for row in found.rows} == set(GROUPS)


CHANGES: dict[str, dict[str, Any]] = {
    "packages/numpy": {"packages": {**(facts().packages or {}), "numpy": PackageFacts(version="2.1")}},
    "packages/six": {"packages": {"numpy": PackageFacts(version="2.0", files="f1")}},
    "parameters/lr": {"params": {**facts().params, "lr": "0.2"}, "command": "python train.py 0.2 {data}"},
    "inputs/data": {"inputs": {"data": Input(parameter="data", path="/d", kind="file", digest="sha256:e")}},
    "interpreter/python": {"python": "CPython 3.11.8"},
    "image/digest": {"image": "sha256:j"},
    "command/line": {"command": "python train.py 0.1 {data} --fast"},
    "outcome/exit code": {"exit_code": 1},
    "outcome/status": {"status": "FAILED"},
    "metrics/count": {"metrics": {"loss": 0.25, "count": 4.0}},
    "artifacts/model.pkl": {"files": {"model.pkl": b"n", "proj/stdout.log": b"hello\n"}},
}


@pytest.mark.parametrize("item", CHANGES)
def test_what_is_required_makes_its_own_row_different_and_no_other(item: str) -> None:
    found = compare(whole(), whole(**CHANGES[item]), Settings(stdout=True))
    assert [f"{row.group}/{row.item}" for row in found.rows if row.status is not Status.SAME] == [item]
    assert not found.reproduced


@pytest.mark.parametrize(
    ("item", "changes"),
    [
        ("host/kernel", {"host": msgspec.structs.replace(HOST, kernel="6.2")}),
        ("host/processor can", {"host": msgspec.structs.replace(HOST, cpu_flags=("avx2",))}),
        ("host/name", {"host": msgspec.structs.replace(HOST, hostname="other")}),
        ("host/cuda", {"host": msgspec.structs.replace(HOST, cuda="12.4")}),
        ("variables/PYTHONHASHSEED", {"variables": {}}),
        ("variables/set by proj", {"variables_set": ()}),
        ("interpreter/openblas", {"libraries": {"openblas": "0.3.30"}}),
        ("packages/lock", {"lock_digest": "sha256:m"}),
        ("backend/name", {"backend": "local", "backend_settings": {}}),
        ("backend/namespace", {"backend_settings": {"namespace": "b", "cpu": "2"}}),
        ("backend/cpu", {"backend_settings": {"namespace": "a"}}),
        ("backend/memory", {"backend_settings": {"namespace": "a", "cpu": "2", "memory": "1Gi"}}),
        ("command/time limit", {"timeout": "60 s"}),
        ("code/uncommitted", {"source": commit(dirty=False, changed_files=("x",))}),
        ("stdout/text", {"files": {"model.pkl": b"m", "proj/stdout.log": b"hullo\n"}}),
    ],
)
def test_what_is_not_required_is_told(item: str, changes: dict[str, Any]) -> None:
    found = compare(whole(), whole(**changes), Settings(stdout=True))
    assert [f"{row.group}/{row.item}" for row in found.rows if row.status is Status.DIFFERENT] == [item]
    assert found.reproduced


def test_settings_that_older_records_do_not_have_cannot_be_compared() -> None:
    (row,) = unlike(whole(), whole(backend_settings=None)).values()
    assert (row.group, row.item, row.status) == ("backend", "settings", Status.NOT_COMPARABLE)
    assert (row.left, row.right) == ("cpu namespace", None)
    assert not unlike(whole(backend_settings=None), whole(backend_settings=None))


@pytest.mark.parametrize(
    ("left", "right"), [(None, None), ("sha256:i", None), (None, "sha256:i")], ids=["both", "right", "left"]
)
def test_an_image_that_is_known_by_its_name_alone_is_not_the_same(
    left: str | None, right: str | None
) -> None:
    one, other = (whole(image=image, image_name="x:latest") for image in (left, right))
    found = compare(one, other)
    (row,) = [each for each in found.rows if each.group == "image"]
    assert row.status is Status.NOT_COMPARABLE
    assert (row.left, row.right) == (left or "x:latest", right or "x:latest")
    assert "not recorded of " in (row.reason or "")
    assert not found.reproduced


# --- code -----------------------------------------------------------------------------------------------


def test_trees_are_what_counts_of_code() -> None:
    one = commit(snapshot=snapshot("a" * 40), dirty=True, changed_files=("x",))
    other = commit(snapshot=snapshot("a" * 40), dirty=False, commit="2" * 40)
    found = unlike(facts(source=one), facts(source=other))
    assert set(found) == {"code/commit", "code/uncommitted"}
    assert not any(row.required for row in found.values())
    changed = commit(snapshot=snapshot("b" * 40))
    assert unlike(facts(source=one), facts(source=changed))["code/tree"].required


def without(*left_out: LeftOut) -> RunFacts:
    return facts(source=commit(snapshot=msgspec.structs.replace(snapshot("a" * 40), left_out=left_out)))


SECRET = LeftOut(path=".env", reason="secret", detail="")
LARGE = LeftOut(path="data.bin", reason="limit", detail="", size_bytes=5, digest="sha256:1")
HUGE = msgspec.structs.replace(LARGE, digest=None)


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        (LARGE, LARGE, Status.SAME),
        (LARGE, msgspec.structs.replace(LARGE, digest="sha256:2"), Status.DIFFERENT),
        (HUGE, msgspec.structs.replace(HUGE, size_bytes=6), Status.DIFFERENT),
        (HUGE, HUGE, Status.NOT_COMPARABLE),
        (SECRET, SECRET, Status.NOT_COMPARABLE),
        (SECRET, LARGE, Status.NOT_COMPARABLE),
        (LARGE, msgspec.structs.replace(LARGE, absent=True), Status.NOT_COMPARABLE),
        (
            msgspec.structs.replace(LARGE, absent=True),
            msgspec.structs.replace(LARGE, absent=True),
            Status.SAME,
        ),
    ],
)
def test_the_tree_says_nothing_of_what_was_left_out(one: LeftOut, other: LeftOut, status: Status) -> None:
    found = compare(without(one), without(other), Settings())
    (row,) = (row for row in found.rows if row.item == "left out")
    assert (row.status, row.required, found.reproduced) == (status, True, status is Status.SAME)


def test_what_the_user_left_out_does_not_count() -> None:
    ignored = LeftOut(path="out", reason="ignored", detail="")
    assert unlike(without(ignored), without()) == {}


def test_pointers_of_large_files_are_not_their_content() -> None:
    def having(*names: str) -> RunFacts:
        return facts(source=commit(snapshot=msgspec.structs.replace(snapshot("a" * 40), large_files=names)))

    many = tuple(f"{number}.bin" for number in range(9))
    assert unlike(having(), having()) == unlike(having(*many), having(*many)) == {}
    for names in ((), many[:8], (*many[:8], "9.bin")):
        (found,) = unlike(having(*many), having(*names)).values()
        assert (found.item, found.status, found.required) == ("large files", Status.DIFFERENT, True)
        assert ("8.bin" if names else "0.bin") in (found.reason or "")


def test_clean_commits_stand_for_their_trees() -> None:
    found = unlike(facts(), facts(source=commit(commit="2" * 40)))
    assert found["code/tree"].status is Status.DIFFERENT
    assert found["code/tree"].left == f"commit {'1' * 40}"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (commit(dirty=True, changed_files=("a",)), "what was not committed is not recorded"),
        (None, "the code is not recorded"),
        (SourceFacts(uri="/p", kind="local"), "what was not committed is not recorded"),
    ],
)
def test_code_that_is_not_recorded_cannot_be_compared(other: SourceFacts | None, reason: str) -> None:
    found = compare(facts(), facts(source=other))
    (row,) = [row for row in found.rows if row.item == "tree"]
    assert (row.status, row.reason, row.required) == (Status.NOT_COMPARABLE, reason, True)
    assert not found.reproduced


# --- packages -------------------------------------------------------------------------------------------

LOCK = b"""
lock-version = "1.0"
[[packages]]
name = "numpy"
version = "2.0"
wheels = [{name = "numpy-2.0.whl", hashes = {sha256 = "aa"}}]
sdist = {name = "numpy-2.0.tar.gz", hashes = {sha256 = "bb"}}
[[packages]]
name = "tool"
vcs = {type = "git", url = "https://host/tool", commit-id = "abc"}
[[packages]]
name = "here"
directory = {path = "lib", editable = true}
[[packages]]
name = "two"
version = "2"
[[packages]]
name = "two"
version = "1"
"""


def test_a_lock_is_read() -> None:
    found = read_packages(LOCK)
    assert found is not None
    assert {name: package.version for name, package in found.items()} == {
        "numpy": "2.0", "tool": "https://host/tool@abc", "here": "lib", "two": "1 or 2",
    }  # fmt: skip
    other = read_packages(LOCK.replace(b'"aa"', b'"ab"'))
    assert other is not None
    assert found["numpy"].files != other["numpy"].files
    assert [name for name in found if found[name].files is None] == ["tool", "here", "two"]


@pytest.mark.parametrize("content", [b"", b"packages = 3", b"[[packages", b"\xff"])
def test_what_is_no_lock_is_none(content: bytes) -> None:
    assert read_packages(content) is None


def test_the_same_version_from_other_files_is_different() -> None:
    other = {**(facts().packages or {}), "numpy": PackageFacts(version="2.0", files="f2")}
    row = unlike(facts(), facts(packages=other))["packages/numpy"]
    assert (row.left, row.right, row.reason) == ("2.0 (f1)", "2.0 (f2)", "the same version from other files")


def test_a_package_that_only_one_has() -> None:
    row = unlike(facts(packages={}), facts())["packages/six"]
    assert (row.left, row.right) == (None, "1.0")


def test_packages_of_one_run_alone_cannot_be_compared() -> None:
    row = unlike(facts(), facts(packages=None))["packages/all"]
    assert (row.status, row.left, row.right) == (Status.NOT_COMPARABLE, "2 packages", None)
    assert not unlike(facts(packages=None), facts(packages=None))


# --- parameters and inputs ------------------------------------------------------------------------------


def test_another_path_to_the_same_content_is_the_same() -> None:
    found = compare(facts(), facts(params={**facts().params, "data": "../elsewhere/d"}))
    (row,) = [row for row in found.rows if (row.group, row.item) == ("parameters", "data")]
    assert (row.status, row.reason) == (Status.SAME, "another path, the same content")


def test_parameters_that_the_program_logged_are_named_as_such() -> None:
    row = unlike(facts(), facts(params={**facts().params, "seen": "4"}))["parameters/seen"]
    assert row.reason == "logged by the program"


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("f --lr 0.1 -n 10", "f --lr 0.2 -n 10", True),
        ("f --lr 0.1 -n 10.1", "f --lr 0.2 -n 10.2", False),
        ("f --lr '0.1'", "f --lr '0.2'", True),
        ("f --lr 0.1", "g --lr 0.2", False),
    ],
)
def test_a_command_differs_by_more_than_its_parameters(left: str, right: str, same: bool) -> None:
    one = facts(params={"lr": "0.1"}, command=left)
    other = facts(params={"lr": "0.2"}, command=right)
    assert ("command/line" not in unlike(one, other)) is same


def test_a_quoted_apostrophe_is_part_of_the_value() -> None:
    one = facts(params={"name": "it's"}, command=r"f 'it'\''s'")
    assert "command/line" not in unlike(one, facts(params={"name": "x"}, command="f x"))


def folder(**digests: str) -> dict[str, Input]:
    tree = tuple(InputFile(path=path, digest=digest) for path, digest in digests.items())
    return {"data": Input(parameter="data", path="/d", kind="folder", digest=str(digests), tree=tree)}


def test_files_of_a_folder_are_named() -> None:
    row = unlike(facts(inputs=folder(a="1", b="2", c="3")), facts(inputs=folder(a="1", b="9", d="4")))[
        "inputs/data"
    ]
    assert row.reason == "differs in b, c, d"


def test_inputs_that_were_not_read_cannot_be_compared() -> None:
    large = {"data": Input(parameter="data", path="/d", kind="file", reason="larger than 1 GiB")}
    row = unlike(facts(), facts(inputs=large))["inputs/data"]
    assert (row.status, row.reason) == (Status.NOT_COMPARABLE, "larger than 1 GiB")
    row = unlike(facts(), facts(inputs=None))["inputs/data"]
    assert (row.status, row.reason) == (Status.NOT_COMPARABLE, "not recorded of one of the runs")


def test_inputs_that_neither_run_recorded_cannot_be_compared() -> None:
    old = facts(inputs=None, paths=frozenset({"data"}))
    found = compare(old, old)
    (row,) = [row for row in found.rows if row.group == "inputs"]
    assert (row.item, row.status, row.required) == ("data", Status.NOT_COMPARABLE, True)
    assert row.reason == "not recorded of both of the runs"
    assert not found.reproduced
    assert unlike(old, facts(inputs={}))["inputs/data"].reason == "not recorded of one of the runs"


def test_variables_that_a_run_did_not_record_cannot_be_compared() -> None:
    old = facts(variables=None)
    row = unlike(old, facts())["variables/values"]
    assert (row.status, row.left, row.right) == (Status.NOT_COMPARABLE, None, "PYTHONHASHSEED")
    assert unlike(old, old)["variables/values"].reason == "not recorded of both of the runs"
    other = facts(variables=None, host=None)
    assert not unlike(other, other)


def test_an_input_that_one_run_does_not_have_is_different() -> None:
    assert unlike(facts(), facts(inputs={}))["inputs/data"].status is Status.DIFFERENT


# --- metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "same"),
    [
        (1.0, 1.0 + 1e-10, Tolerance(), True),
        (1.5, 1.5 * (1 + 1e-10), Tolerance(), True),
        (1.5, 1.5 * (1 + 1e-8), Tolerance(), False),
        (1e12, 1e12 + 1, Tolerance(), False),
        (1e12, 1e12 + 1, Tolerance(rtol=1e-9), True),
        (0.0, 1e-12, Tolerance(), False),
        (0.0, 1e-12, Tolerance(atol=1e-9), True),
        (1.5, 1.5 * (1 + 1e-10), Tolerance(atol=0.0), False),
        (math.nan, math.nan, Tolerance(), True),
        (math.nan, 1.0, Tolerance(rtol=10), False),
        (math.inf, math.inf, Tolerance(), True),
        (math.inf, -math.inf, Tolerance(rtol=10), False),
        (math.inf, 1.0, Tolerance(), False),
    ],
)
def test_values_are_the_same_within_the_tolerance(
    left: float, right: float, tolerance: Tolerance, same: bool
) -> None:
    assert close(left, right, tolerance) is same
    assert close(right, left, tolerance) is same


@given(st.floats(), st.floats(), st.none() | st.floats(0, 1), st.none() | st.floats(0, 1))
def test_closeness_is_symmetric(left: float, right: float, rtol: float | None, atol: float | None) -> None:
    tolerance = Tolerance(rtol=rtol, atol=atol)
    assert close(left, right, tolerance) == close(right, left, tolerance)
    assert close(left, left, tolerance)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (((0, 0.5), (1, 0.3), (2, 0.25)), "the last value is the same; 2 or 3 steps"),
        (((0, 0.6), (1, 0.25)), "the last value is the same; the values differ from step 0 on"),
        (((0, 0.5), (2, 0.25)), "the last value is the same; logged for other steps from 1 on"),
        (((0, 0.5), (1, 0.26)), None),
    ],
)
def test_the_whole_series_counts(other: tuple[tuple[int, float], ...], reason: str | None) -> None:
    row = unlike(facts(series={"loss": ((0, 0.5), (1, 0.25))}), facts(series={"loss": other}))["metrics/loss"]
    assert (row.status, row.reason) == (Status.DIFFERENT, reason)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        # both orders of two points that one millisecond or two may fall into
        (((0, 0.5), (0, 0.25), (1, 1.0)), ((0, 0.25), (0, 0.5), (1, 1.0)), True),
        (((0, 0.5), (0, 0.25)), ((0, 0.25), (0, 0.5)), True),
        (((0, 0.5), (0, 0.5), (1, 1.0)), ((0, 0.5), (1, 1.0)), True),
        (((0, math.nan), (0, 0.5)), ((0, 0.5), (0, math.nan)), True),
        (((0, 0.5), (0, 0.25)), ((0, 0.25), (0, 0.5 + 1e-12)), True),
        (((0, 0.5), (0, 0.25)), ((0, 0.5), (0, 0.75)), False),
        (((0, 0.5), (0, 0.25), (1, 1.0)), ((0, 0.25), (0, 0.75), (1, 1.0)), False),
        (((0, 0.5), (0, 0.25)), ((0, 0.25),), False),
        (((0, math.nan), (0, 0.5)), ((0, 0.5),), False),
        (((0, 0.5), (0, 0.25)), ((0, 0.25), (1, 0.5)), False),
    ],
)
def test_of_several_values_at_one_step_the_order_does_not_count(
    left: tuple[tuple[int, float], ...], right: tuple[tuple[int, float], ...], same: bool
) -> None:
    one, other = facts(series={"loss": left}), facts(series={"loss": right})
    assert (not unlike(one, other)) is same
    assert (not unlike(other, one)) is same


def test_a_last_step_with_several_values_says_so() -> None:
    one, other = (facts(series={"loss": ((3, value), (3, 1 - value))}) for value in (0.25, 0.75))
    (row,) = [row for row in compare(one, other).rows if row.group == "metrics"]
    assert (row.status, row.left, row.right) == (Status.SAME, "0.75", "0.25")
    assert row.reason == "the last step has several values, the same ones"


def test_a_metric_has_a_tolerance_of_its_own() -> None:
    one = facts(series={"loss": ((0, 1.0),), "fit_seconds": ((0, 7.5),), "rmse": ((0, 2.0),)})
    other = facts(series={"loss": ((0, 1.05),), "fit_seconds": ((0, 9.5),), "rmse": ((0, 2.001),)})
    verification = Verification(
        rtol=0.01, metrics={"*_seconds": Tolerance(ignore=True), "loss": Tolerance(atol=0.1)}
    )
    assert not unlike(one, other, settings(verification))
    assert set(unlike(one, other)) == {"metrics/loss", "metrics/fit_seconds", "metrics/rmse"}
    assert set(unlike(one, other, settings(verification, rtol=0))) == {"metrics/rmse"}


def test_a_full_name_goes_before_a_glob() -> None:
    chosen = settings(Verification(metrics={"*": Tolerance(ignore=True), "loss": Tolerance(rtol=0.5)}))
    assert chosen.of_metric("loss") == Tolerance(rtol=0.5)
    assert chosen.of_metric("other").ignore


def test_what_the_machine_was_busy_with_is_not_required() -> None:
    one, other = (facts(series={"system/cpu": ((0, value),)}) for value in (1.5, 2.5))
    found = compare(one, other)
    assert found.differs
    assert found.reproduced


def test_a_metric_that_only_one_has() -> None:
    row = unlike(facts(), facts(series={"loss": ((0, 1.0),)}))["metrics/loss"]
    assert (row.left, row.right, row.required) == (None, "1.0", True)


# --- artifacts and output -------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["plots/*.png", "plots", "*.png", "plots/", "plots/a.png"])
def test_globs_leave_artifacts_out(pattern: str) -> None:
    one, other = facts(files={"plots/a.png": b"1", "b": b"1"}), facts(files={"plots/a.png": b"2", "b": b"1"})
    assert set(unlike(one, other)) == {"artifacts/plots/a.png"}
    found = compare(one, other, Settings(ignore=(pattern,)))
    assert found.ignored == ("plots/a.png",)
    assert not found.differs


def test_an_artifact_that_only_one_has() -> None:
    row = unlike(facts(), facts(files={"a": b"123"}))["artifacts/a"]
    assert (row.left, row.right, row.required) == (None, "3 bytes", True)


def test_output_is_compared_without_the_ids_of_the_runs() -> None:
    one = facts(run_id="a" * 32, files={"proj/stdout.log": b"run " + b"a" * 32 + b"\nx\n"})
    other = facts(run_id="b" * 32, files={"proj/stdout.log": b"run " + b"b" * 32 + b"\nx\n"})
    assert not unlike(one, other, Settings(stdout=True))
    longer = facts(files={"proj/stdout.log": b"run " + b"a" * 32 + b"\nx\ny\n"})
    row = unlike(one, longer, Settings(stdout=True))["stdout/text"]
    assert (row.status, row.reason) == (Status.DIFFERENT, "differs from line 3 on")
    assert unlike(one, facts(), Settings(stdout=True))["stdout/text"].status is Status.NOT_COMPARABLE


def printed(run_id: str, text: bytes) -> RunFacts:
    return facts(run_id=run_id, files={"proj/stdout.log": text})


@pytest.mark.parametrize("chunk_bytes", [1, 7, 31, 32, 33, 1000])
def test_output_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> None:
    monkeypatch.setattr(files, "_CHUNK_BYTES", chunk_bytes)
    names = "a" * 32, "ab" * 16
    one, other = (printed(name, f"x {name}{name}a\n{name}\nab".encode()) for name in names)
    found = compare(one, other, Settings(stdout=True))
    text = b"x RUNRUNa\nRUN\nab"
    (row,) = [row for row in found.rows if row.group == "stdout"]
    assert (row.status, row.left) == (Status.SAME, files.digest_of(text))
    longer = printed(names[1], f"x {names[1] * 2}a\n{names[1]}\nac".encode())
    assert unlike(one, longer, Settings(stdout=True))["stdout/text"].reason == "differs from line 3 on"


def test_the_end_of_a_long_output_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 1000)
    monkeypatch.setattr(files, "_CHUNK_BYTES", 100)
    one, other = (printed("a" * 32, b"line\n" * 500 + end) for end in (b"1\n", b"2\n"))
    row = unlike(one, other, Settings(stdout=True))["stdout/text"]
    assert (row.status, row.reason) == (Status.DIFFERENT, "differs from line 501 on")


# --- laws -----------------------------------------------------------------------------------------------

_names = st.sampled_from(["a", "b", "c"])
_texts = st.sampled_from(["", "1", "2", "x y"])
_inputs = st.builds(
    Input,
    parameter=st.just("a"),
    path=_texts,
    kind=st.just("file"),
    digest=st.none() | _texts,
    reason=st.none() | _texts,
)
_sources = st.none() | st.builds(
    SourceFacts,
    commit=st.none() | st.sampled_from(["1" * 40, "2" * 40]),
    dirty=st.none() | st.booleans(),
    changed_files=st.sampled_from([(), ("a",)]),
    snapshot=st.none() | st.sampled_from(["a" * 40, "b" * 40]).map(snapshot),
)
_values = st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 0.5, math.nan]))
_contents = st.sampled_from([b"a" * 32, b"b" * 32, b"\0", b"2024-01-02"])
_packages = st.builds(PackageFacts, version=_texts, files=st.none() | _texts)
_runs: Callable[..., st.SearchStrategy[RunFacts]] = st.builds
RUNS = _runs(
    facts,
    run_id=st.sampled_from(["a" * 32, "b" * 32]),
    series=st.dictionaries(_names, st.lists(_values, min_size=1).map(tuple)),
    files=st.dictionaries(st.sampled_from(["m.pkl", "t.txt", "proj/stdout.log"]), _contents),
    source=_sources,
    packages=st.none() | st.dictionaries(_names, _packages),
    params=st.dictionaries(_names, _texts),
    given=st.frozensets(_names),
    inputs=st.none() | st.dictionaries(_names, _inputs),
    host=st.none() | st.just(HOST) | st.just(msgspec.structs.replace(HOST, cuda="12")),
    variables=st.just({}) | st.just({"PYTHONHASHSEED": "1"}),
    paths=st.frozensets(_names),
    command=st.none() | st.sampled_from(["f 1", "f 2", "f 'x y'"]),
    python=st.none() | _texts,
    exit_code=st.none() | st.integers(0, 2),
    image=st.none() | _texts,
    variables_set=st.none() | st.just(("A",)),
)  # fmt: skip


@given(RUNS, RUNS)
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_comparison_is_symmetric(left: RunFacts, right: RunFacts) -> None:
    chosen = Settings(stdout=True)
    one, other = compare(left, right, chosen), compare(right, left, chosen)
    turned = tuple(msgspec.structs.replace(row, left=row.right, right=row.left) for row in other.rows)
    assert one.rows == turned
    assert (one.reproduced, one.differs) == (other.reproduced, other.differs)


@given(RUNS)
@hypothesis_settings(max_examples=40, deadline=None)
def test_no_run_differs_from_itself(run: RunFacts) -> None:
    found = compare(run, run, Settings(stdout=True))
    assert not found.differs
    missing = {row.group for row in found.rows if row.status is Status.NOT_COMPARABLE}
    assert missing <= {"code", "inputs", "stdout"}
