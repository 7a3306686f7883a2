from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from proj import files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_excludes_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    held = files.lock(path)
    assert files.try_lock(path) is None
    os.close(held)
    again = files.try_lock(path)
    assert again is not None
    os.close(again)


def test_shared_locks_go_together(tmp_path: Path) -> None:
    held = [files.lock(tmp_path / "lock", shared=True) for _ in range(2)]
    assert files.try_lock(tmp_path / "lock") is None
    for descriptor in held:
        os.close(descriptor)


def test_a_file_that_was_removed_while_it_was_waited_for_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = files.lock(path)
    waiting = threading.Event()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(files.lock(path, on_wait=waiting.set)))
    thread.start()
    assert waiting.wait(30)
    path.unlink()
    os.close(held)
    thread.join(30)
    assert os.path.samestat(os.fstat(got[0]), path.stat())
    assert files.try_lock(path) is None
    os.close(got[0])


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.lock(tmp_path / "gone" / "lock", create=False)
    assert not (tmp_path / "gone").exists()


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    files.write_whole(path, b"one")
    files.write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match="file"):
        files.write_whole(path, b"one")
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_folder_is_for_the_user_alone_from_top_to_bottom(tmp_path: Path) -> None:
    files.make_private(tmp_path / "home" / "journal" / "bodies")
    files.make_private(tmp_path / "home" / "journal")
    made = list(tmp_path.rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    assert len(made) == 3


def test_a_private_folder_that_was_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/nothing/below"])
def test_a_private_folder_that_cannot_be_made_is_an_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file|nothing"):
        files.make_private(tmp_path / path)
