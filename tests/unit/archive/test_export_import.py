from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from archives import ARTIFACTS, build, contents, exported, rich_run
from proj import archive, events, paths, record
from proj.archive import manifest, open_archive
from proj.errors import AlreadyExistsError, ConflictError, StoreError
from proj.model import NewRun, RunStatus
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.model import RunRecord
    from proj.tracking import Tracking


@pytest.fixture
def there() -> Iterator[Tracking]:
    """The records that are exported from."""
    with open_tracking(paths.home()) as tracking:
        yield tracking


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Tracking]:
    """Records of another machine."""
    with open_tracking(tmp_path / "here") as tracking:
        yield tracking


def export(tracking: Tracking, target: Path, *runs: RunRecord) -> Path:
    archive.export(tracking, runs, target, options=archive.Options(replace=True))
    return target


def bring(path: Path, tracking: Tracking, *, dry_run: bool = False) -> tuple[archive.AddedRun, ...]:
    with open_archive(path) as opened:
        return archive.add(opened, tracking, dry_run=dry_run)


def files_of(tracking: Tracking, uri: str) -> dict[str, bytes]:
    found = {}
    for info in tracking.artifacts.walk(uri):
        with tracking.artifacts.open(uri, info.path) as file:
            found[info.path] = file.read()
    return found


def test_a_run_arrives_as_it_was_recorded(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    run = rich_run(there)
    (added,) = bring(export(there, tmp_path / "run.zip", run), here)
    assert (added.run_id, added.state, added.files) == (run.run_id, "new", len(ARTIFACTS))
    mine = here.runs.run(run.run_id)
    for field in ("run_name", "user", "status", "started_ms", "ended_ms", "params", "tags"):
        assert getattr(mine, field) == getattr(run, field), field
    assert here.runs.experiment(mine.experiment_id).name == "wine"
    for key in ("loss", "a/b"):
        assert repr(here.runs.metric_history(run.run_id, key)) == repr(
            there.runs.metric_history(run.run_id, key)
        )
    assert files_of(here, mine.artifact_uri) == ARTIFACTS
    assert here.inputs.of_runs([run.run_id]) == there.inputs.of_runs([run.run_id])


def test_tags_that_are_believed_do_not_arrive(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    run = rich_run(there)
    there.runs.log(run.run_id, tags={record.TAG_REUSE: "blake2b:00", record.TAG_CLAIM: "x"})
    bring(export(there, tmp_path / "run.zip", run), here)
    mine = here.runs.run(run.run_id).tags
    assert not {record.TAG_REUSE, record.TAG_CLAIM} & mine.keys()
    assert mine.items() >= run.tags.items()


def test_its_logged_models_arrive_too(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    run = rich_run(there)
    bring(export(there, tmp_path / "run.zip", run), here)
    (output,) = here.inputs.of_runs([run.run_id])[run.run_id].outputs
    ours, theirs = (store.logged_models.logged_model(output.model_id) for store in (here, there))
    assert msgspec.structs.replace(ours, experiment_id="", artifact_location="") == msgspec.structs.replace(
        theirs, experiment_id="", artifact_location=""
    )
    assert files_of(here, ours.artifact_location) == {"MLmodel": b"flavors: {}\n"}


def test_the_same_run_makes_the_same_bytes_everywhere(
    there: Tracking, here: Tracking, tmp_path: Path
) -> None:
    run = rich_run(there)
    first = export(there, tmp_path / "1.zip", run).read_bytes()
    before = os.umask(0o077)
    try:
        assert export(there, tmp_path / "2.zip", run).read_bytes() == first
    finally:
        os.umask(before)
    here.runs.create_experiment("another, so that numbers differ")
    bring(tmp_path / "1.zip", here)
    assert export(here, tmp_path / "3.zip", here.runs.run(run.run_id)).read_bytes() == first


def test_other_tools_can_check_it(tmp_path: Path) -> None:
    import subprocess  # noqa: TID251  a user's own tools

    exported(tmp_path / "run.zip")
    for name, content in contents(tmp_path / "run.zip").items():
        target = tmp_path / "unpacked" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    check = ["sha256sum", "--check", "--strict", "--quiet", manifest.MANIFEST]
    subprocess.run(check, cwd=tmp_path / "unpacked", check=True)


def test_importing_again_adds_nothing(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    run = rich_run(there)
    path = export(there, tmp_path / "run.zip", run)
    bring(path, here)
    before = here.runs.run(run.run_id)
    (again,) = bring(path, here)
    assert (again.state, again.files) == ("there", 0)
    assert repr(here.runs.run(run.run_id)) == repr(before)
    (home,) = bring(path, there)
    assert (home.state, home.files) == ("there", 0)


def test_files_that_were_removed_come_back(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    bring(path, here)
    uri = here.runs.run(run.run_id).artifact_uri
    here.artifacts.delete(uri, "model.bin")
    (again,) = bring(path, here)
    assert (again.state, again.files) == ("there", 1)
    assert files_of(here, uri) == ARTIFACTS


def test_names_and_tags_that_were_changed_here_stay(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    bring(path, here)
    here.runs.update_run(run.run_id, run_name="mine")
    here.runs.log(run.run_id, tags={"note": "mine"})
    bring(path, here)
    mine = here.runs.run(run.run_id)
    assert (mine.run_name, mine.tags["note"]) == ("mine", "mine")


@pytest.mark.parametrize("what", ["parameters", "metrics", "end", "artifact"])
def test_another_run_of_the_same_id_is_refused(
    there: Tracking, here: Tracking, tmp_path: Path, what: str
) -> None:
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    bring(path, here)
    if what == "parameters":
        here.runs.log(run.run_id, params={"beta": "2"})
    elif what == "metrics":
        here.runs.log(run.run_id, metrics=[msgspec.structs.replace(run.metrics["a/b"], step=9)])
    elif what == "end":
        here.runs.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=5)
    else:
        here.artifacts.write(here.runs.run(run.run_id).artifact_uri, "model.bin", b"another")
    with pytest.raises(ConflictError, match=f"here already, and is another one.*{what}|{what}.*another one"):
        bring(path, here)


def test_children_come_with_their_parents(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    parent = rich_run(there)
    child = rich_run(there, parent=parent.run_id, name="child")
    runs = archive.with_children(there, [parent])
    assert [run.run_id for run in runs] == [parent.run_id, child.run_id]
    bring(export(there, tmp_path / "runs.zip", *runs), here)
    assert here.runs.children(parent.run_id) == (child.run_id,)


def test_a_rehearsal_changes_nothing(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    before = here.runs.experiments("all")
    (added,) = bring(path, here, dry_run=True)
    assert added.state == "new"
    assert here.runs.experiments("all") == before
    assert not here.artifacts.list(here.past.artifact_uri("wine", run.run_id) if here.past else "")


def test_a_run_that_has_not_ended_is_not_exported(there: Tracking, tmp_path: Path) -> None:
    run = there.runs.create_run(
        NewRun(experiment_id="0", run_name="x", started_ms=1, status=RunStatus.RUNNING)
    )
    with pytest.raises(ConflictError, match="has not ended"):
        export(there, tmp_path / "run.zip", run)
    assert not list(tmp_path.glob("*.zip"))


def test_a_file_that_is_there_is_not_replaced(there: Tracking, tmp_path: Path) -> None:
    (tmp_path / "run.zip").write_bytes(b"precious")
    with pytest.raises(AlreadyExistsError, match=r"run\.zip is there already"):
        archive.export(there, [rich_run(there)], tmp_path / "run.zip")
    assert (tmp_path / "run.zip").read_bytes() == b"precious"


def test_code_that_was_not_kept_is_said(there: Tracking, tmp_path: Path) -> None:
    said: list[str] = []
    with events.listening(lambda event: said.append(event.message)):
        export(there, tmp_path / "run.zip", rich_run(there))
    assert any("was not kept" in message for message in said)
    with open_archive(tmp_path / "run.zip") as opened:
        assert opened.runs[0].source is None


def test_a_folder_that_cannot_be_written_is_said(there: Tracking, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"run\.zip cannot be written: No such file"):
        export(there, tmp_path / "nowhere" / "run.zip", rich_run(there))


def test_an_import_that_fails_leaves_nothing(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    """A file where a folder has to be stops the second of two runs."""
    first, second = rich_run(there), rich_run(there, name="second")
    path = export(there, tmp_path / "runs.zip", first, second)
    past = here.past
    assert past is not None
    blocked = past.artifact_uri("wine", second.run_id)
    with open_archive(path) as opened, opened.path.open("r+b") as file:
        # the archive changes after it was verified
        member = opened.members[f"runs/{second.run_id}/artifacts/model.bin"]
        file.seek(member.start)
        file.write(b"\xff")
        file.flush()
        with pytest.raises(archive.DamagedError, match=r"model\.bin"):
            archive.add(opened, here)
    assert past.known_runs([first.run_id, second.run_id]) == {}
    for uri in (past.artifact_uri("wine", first.run_id), blocked):
        assert files_of(here, uri) == {}


def test_an_import_goes_on_where_one_was_killed(there: Tracking, here: Tracking, tmp_path: Path) -> None:
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    past = here.past
    assert past is not None
    here.artifacts.write(past.artifact_uri("wine", run.run_id), "model.bin", ARTIFACTS["model.bin"])
    (added,) = bring(path, here)
    assert (added.state, added.files) == ("new", len(ARTIFACTS) - 1)
    assert files_of(here, here.runs.run(run.run_id).artifact_uri) == ARTIFACTS


def test_runs_go_where_their_experiment_keeps_its_files(
    there: Tracking, here: Tracking, tmp_path: Path
) -> None:
    here.runs.create_experiment("wine", artifact_location=(tmp_path / "elsewhere").as_uri())
    path = export(there, tmp_path / "run.zip", run := rich_run(there))
    bring(path, here)
    assert (tmp_path / "elsewhere" / run.run_id / "artifacts" / "model.bin").exists()


def test_a_name_that_is_no_utf8_is_refused(there: Tracking, tmp_path: Path) -> None:
    run = rich_run(there)
    folder = paths.home() / "artifacts" / run.run_id
    try:
        (folder / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(StoreError, match="not UTF-8"):
        export(there, tmp_path / "run.zip", run)


# --- archives that somebody has made to harm ----------------------------------------------------------


def forged(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of these files with a manifest and a statement that fit."""
    import hashlib

    from proj.archive.documents import ArchivedRun
    from proj.archive.statement import write_statement

    files = {name: content for name, content in files.items() if name not in manifest.UNLISTED}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    listed = manifest.write_manifest(digests)
    runs = []
    for name, content in files.items():
        if name.endswith("/run.json"):
            try:
                runs.append(msgspec.json.decode(content, type=ArchivedRun))
            except msgspec.MsgspecError:
                continue
    statement = write_statement({**digests, manifest.MANIFEST: hashlib.sha256(listed).hexdigest()}, runs)
    return build(path, {**files, manifest.MANIFEST: listed, manifest.STATEMENT: statement})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("runs/{id}/artifacts/../../../x", "leads elsewhere"),
        ("runs/{id}/artifacts//etc/passwd", "leads elsewhere"),
        ("../x", "no place of a file"),
        ("/etc/passwd", "no place of a file"),
        ("runs/{id}/artifacts/a\0b", "leads elsewhere"),
        ("runs/{id}/artifacts/" + "a/" * 3000 + "b", "too long"),
        ("runs/{id}/artifacts/" + "a" * 300, "too long"),
        ("runs/{id}/artifacts/model.bin/below", "a file and a folder"),
        ("runs/{id}/artifacts/.proj-partial-1", "proj's own"),
        ("runs/{id}/artifacts/proj/whole.json", "proj's own"),
        ("runs/{other}/artifacts/x", "belongs to nothing"),
        ("models/m-{other}/x", "belongs to nothing"),
        ("packages/../x.whl", "no place of a file"),
        ("unknown.txt", "no place of a file"),
    ],
)
def test_files_elsewhere_are_refused(tmp_path: Path, name: str, says: str) -> None:
    run = exported(tmp_path / "good.zip")
    name = name.format(id=run.run_id, other="f" * 32)
    bad = forged(tmp_path / "bad.zip", {**contents(tmp_path / "good.zip"), name: b"x"})
    with pytest.raises(archive.DamagedError, match=says):
        open_archive(bad)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"format": 1', b'"format": 2', "has format 2; this proj knows 1"),
        (b'"status": "FINISHED"', b'"status": "RUNNING"', "has not ended"),
        (b'"started_ms": 1700000000000', b'"started_ms": 99999999999999999999999', "cannot be understood"),
        (b'"started_ms": 1700000000000', b'"started_ms": -1', "cannot be understood"),
        (b'"user": "ada"', b'"user": 7', "cannot be understood"),
        (b'"models": [', b'"models": 7, "x": [', "cannot be understood"),
    ],
)
def test_records_that_make_no_sense_are_refused(tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    run = exported(tmp_path / "good.zip")
    files = contents(tmp_path / "good.zip")
    name = manifest.run_file(run.run_id)
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    with pytest.raises(archive.DamagedError, match=says):
        open_archive(forged(tmp_path / "bad.zip", files))


def test_a_missing_and_an_unlisted_file_are_named(tmp_path: Path) -> None:
    run = exported(tmp_path / "good.zip")
    files = contents(tmp_path / "good.zip")
    victim = f"runs/{run.run_id}/artifacts/model.bin"
    without = {name: content for name, content in files.items() if name != victim}
    with pytest.raises(archive.DamagedError, match=r"model\.bin' is missing"):
        open_archive(build(tmp_path / "less.zip", without))
    more = {f"runs/{run.run_id}/artifacts/extra": b"", **files}
    with pytest.raises(archive.DamagedError, match="extra' is not in the manifest"):
        open_archive(build(tmp_path / "more.zip", more))


def test_exchanged_content_is_named(tmp_path: Path) -> None:
    run = exported(tmp_path / "good.zip")
    files = contents(tmp_path / "good.zip")
    files[f"runs/{run.run_id}/artifacts/model.bin"] = b"exchanged, with a right checksum"
    with pytest.raises(archive.DamagedError, match=r"model\.bin is not the file that the manifest names"):
        open_archive(build(tmp_path / "bad.zip", files))


def test_a_statement_about_others_is_refused(tmp_path: Path) -> None:
    exported(tmp_path / "good.zip")
    files = contents(tmp_path / "good.zip")
    files[manifest.STATEMENT] = files[manifest.STATEMENT].replace(b'"exitCode": null', b'"exitCode": "0"')
    with pytest.raises(archive.DamagedError, match="other things of the runs"):
        open_archive(build(tmp_path / "bad.zip", files))


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    import random

    path = tmp_path / "run.zip"
    exported(path)
    whole = path.read_bytes()
    chance = random.Random(7)  # noqa: S311  no secret
    for position in chance.sample(range(len(whole)), 150):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(archive.DamagedError) as caught:
            open_archive(path).close()
        assert caught.value.message.startswith(f"{path} is damaged: ")
