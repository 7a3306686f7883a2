from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from proj import paths, process, source
from proj.model import Checkout
from proj.source import checkouts

if TYPE_CHECKING:
    from pathlib import Path


def abandoned(name: str, then: str = "") -> Path:
    """A checkout whose process has ended."""
    script = (
        f"from proj.source import checkouts\nroot = checkouts.allocate({name!r})\n{then}\nprint(root, end='')"
    )
    return type(paths.cache())(process.run((sys.executable, "-c", script)).stdout)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("brisk-otter-417", "brisk-otter-417"),
        ("../../.ssh", "ssh"),
        ("/etc/x", "etc-x"),
        ("..", "project"),
        ("-rf\n", "rf-"),
        ("a\x1b[31m", "a-31m"),
        ("\u00fc b", "\u00fc b"),
        ("\U0001d49c" * 300, "\U0001d49c" * 50),
    ],
)
def test_any_name_becomes_that_of_a_folder(name: str, expected: str) -> None:
    assert checkouts.folder_name(name) == expected


def test_only_checkouts_of_dead_processes_are_pruned() -> None:
    mine = checkouts.allocate("mine")
    kept = abandoned("kept", "checkouts.keep(root)")
    stale = abandoned("stale", "(root / 'f').touch(); (root / 'locked').mkdir(); (root / 'locked').chmod(0)")
    assert source.prune_checkouts() == 1
    assert [path.is_dir() for path in (mine, stale, kept)] == [True, False, True]
    assert source.prune_checkouts(kept_older_than_s=3600) == 0
    marker = kept.parent.with_name(kept.parent.name + ".kept")
    os.utime(marker, (time.time() - 7200,) * 2)
    assert source.prune_checkouts(kept_older_than_s=3600) == 1
    assert not kept.exists()
    checkouts.discard(mine)
    assert list((paths.cache() / "checkouts").iterdir()) == []


def test_a_new_checkout_removes_those_of_dead_processes() -> None:
    stale = abandoned("stale", "")
    assert stale.is_dir()
    checkouts.discard(checkouts.allocate("new"))
    assert list((paths.cache() / "checkouts").iterdir()) == []


def test_another_process_can_take_a_checkout_over() -> None:
    root = checkouts.allocate("shared")
    script = (
        "import sys; from pathlib import Path; from proj.source import checkouts\n"
        "print(checkouts.hold(Path(sys.argv[1])), checkouts.hold(Path(sys.argv[1])), flush=True)\n"
        "print(checkouts.prune())"
    )
    done = process.run((sys.executable, "-c", script, str(root)))
    assert done.stdout.split() == ["True", "True", "0"]
    checkouts.discard(root)
    assert not checkouts.hold(root)


def test_release_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for private in (True, False):
        source.release(
            Checkout(
                uri=".", kind="local", root=tmp_path / "mine", project_dir=tmp_path / "mine", private=private
            )
        )
    base = paths.cache() / "checkouts"
    base.mkdir(parents=True)
    for root in (base, base / "other", base / ".." / "checkouts", base / "0123456789ab" / ".." / ".."):
        checkouts.discard(root)
    assert (tmp_path / "mine").is_dir()
    assert base.is_dir()


def test_a_link_in_a_checkout_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").touch()
    root = checkouts.allocate("x")
    (root / "data").symlink_to(tmp_path / "data")
    checkouts.discard(root)
    assert not root.exists()
    assert (tmp_path / "data" / "precious").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iris", "iris"),
        ("../x", "x"),
        ("a/b c", "a-b c"),
        ("", "project"),
        ("..", "project"),
        ("ü" * 200, "ü" * 80),
    ],
)
def test_names_are_safe(name: str, expected: str) -> None:
    root = checkouts.allocate(name)
    assert root.name == expected
    assert root.parent.parent == paths.cache() / "checkouts"
    checkouts.discard(root)
