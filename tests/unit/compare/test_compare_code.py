from __future__ import annotations

from typing import TYPE_CHECKING

from comparekit import facts
from proj import paths
from proj.compare.code import FileChange, FolderTree, GitTree, code_changes, code_of
from proj.compare.facts import SourceFacts
from proj.source.mirror import Mirror
from projkit import git, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def committed(folder: Path, files: Mapping[str, str | bytes]) -> str:
    write(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-q", "-m", "more")
    return git(folder, "rev-parse", "HEAD")


def brief(changes: tuple[FileChange, ...]) -> list[tuple[str, str, int, int, str | None]]:
    return [(each.path, each.kind, each.added, each.removed, each.note) for each in changes]


def test_files_and_lines_of_two_commits(tmp_path: Path) -> None:
    first = committed(tmp_path, {"a.py": "1\n2\n", "é b": "x\n", "gone": "1\n", "bin": b"\0", "same": "s\n"})
    (tmp_path / "gone").unlink()
    (tmp_path / "same").chmod(0o755)
    (tmp_path / "link").symlink_to("a.py")
    second = committed(tmp_path, {"a.py": "1\n3\n", "é b": "x\r\n", "bin": b"\0\1", "new/f": "n\n"})
    changes = code_changes(GitTree(tmp_path, first), GitTree(tmp_path, second))
    assert brief(changes) == [
        ("a.py", "changed", 1, 1, None),
        ("bin", "changed", 0, 0, "binary: 1 and 2 bytes"),
        ("gone", "removed", 0, 1, None),
        ("link", "added", 1, 0, None),
        ("new/f", "added", 1, 0, None),
        ("same", "mode", 0, 0, "mode 100644 and 100755"),
        ("é b", "changed", 0, 0, "only line ends differ"),
    ]
    assert changes[0].diff == ("--- a/a.py", "+++ b/a.py", "@@ -1,2 +1,2 @@", " 1", "-2", "+3")
    assert changes[2].diff[1] == "+++ /dev/null"


def test_a_folder_and_a_commit_of_it_are_the_same(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"\r\n\xff", "b/c": b"x"})
    (tmp_path / "b" / "link").symlink_to("../b")
    (tmp_path / "a").chmod(0o755)
    commit = committed(tmp_path, {})
    assert code_changes(GitTree(tmp_path, commit), FolderTree(tmp_path)) == ()
    assert code_changes(FolderTree(tmp_path, digits=64), GitTree(tmp_path, commit)) == ()
    write(tmp_path, {"b/c": b"y"})
    assert brief(code_changes(FolderTree(tmp_path), GitTree(tmp_path, commit))) == [
        ("b/c", "changed", 1, 1, None)
    ]


def test_long_files_are_not_compared_line_by_line(tmp_path: Path) -> None:
    write(tmp_path, {"one/f": b"1\n" * 20_001, "two/f": b"2\n" * 3})
    changes = code_changes(FolderTree(tmp_path / "one"), FolderTree(tmp_path / "two"))
    assert brief(changes) == [("f", "changed", 0, 0, "20001 and 3 lines")]


def test_submodules_are_named_by_their_commits(tmp_path: Path) -> None:
    inner = committed(tmp_path / "outer" / "sub", {"x": "1\n"})
    outer = committed(tmp_path / "outer", {"y": "1\n"})
    (empty := tmp_path / "empty").mkdir()
    changes = code_changes(GitTree(tmp_path / "outer", outer), FolderTree(empty))
    assert ("sub", "removed", 0, 0, f"a submodule: {inner} and none") in brief(changes)


def test_the_code_of_a_run_is_read_where_it_ran(tmp_path: Path) -> None:
    commit = committed(tmp_path, {"a": "1\n"})
    source = SourceFacts(uri=str(tmp_path), kind="local", commit=commit, dirty=False)
    with code_of(facts(source=source)) as (tree, note):
        assert tree is not None
        assert (tree.read("a"), note) == (b"1\n", None)


def test_or_in_the_cache(tmp_path: Path) -> None:
    commit = committed(tmp_path / "repo", {"a": "1\n"})
    url = "https://host.example/team/repo"
    mirror = Mirror(url).path
    assert mirror.is_relative_to(paths.cache())
    mirror.parent.mkdir(parents=True)
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "repo"), str(mirror))
    source = SourceFacts(uri=f"{url}#sub", kind="git", commit=commit, dirty=False)
    with code_of(facts(source=source)) as (tree, _):
        assert tree is not None
        assert tree.read("a") == b"1\n"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with code_of(facts(source=None)) as found:
        assert found == (None, "the code of bold-moon-1 is not recorded")
    with code_of(facts(source=SourceFacts(uri=str(tmp_path), commit="1" * 40))) as (tree, note):
        assert tree is None
        assert note == f"the commit {'1' * 40} of bold-moon-1 is neither in its folder nor in the cache"
    commit = committed(tmp_path, {"a": "1\n"})
    dirty = SourceFacts(uri=str(tmp_path), commit=commit, dirty=True, changed_files=("a", "b"))
    with code_of(facts(source=dirty)) as (tree, note):
        assert tree is not None
        assert note == "bold-moon-1 ran with uncommitted changes, which are not recorded: a, b"
    unlisted = SourceFacts(uri=str(tmp_path), commit=commit, dirty=True)
    with code_of(facts(source=unlisted)) as (_, note):
        assert note == "bold-moon-1 ran with uncommitted changes, which are not recorded"
