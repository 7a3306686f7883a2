"""Code on its way to a pod."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj.backends.packing import bundle_of, parcelled
from proj.kube.blueprint import Blueprint
from proj.kube.parts import MOST_BYTES
from proj.kube.settings import Settings
from proj.model import Code, RecipeRuntime
from proj.testing.backends import execution_maker

if TYPE_CHECKING:
    from pathlib import Path


def test_code_is_packed_the_same_each_time(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.py").write_text("a")
    make = execution_maker(tmp_path, runtime=RecipeRuntime(image="i"))
    first = bundle_of(make("true", code=Code(root=tree)), None)
    os.utime(tree / "a.py", (1, 1))
    assert first is not None
    assert first == bundle_of(make("true", code=Code(root=tree)), None)


def test_only_code_that_is_too_large_is_parcelled(tmp_path: Path) -> None:
    tree, folder = tmp_path / "tree", tmp_path / "parcel"
    tree.mkdir()
    folder.mkdir()
    (tree / "zeros").write_bytes(b"\0" * (2 * MOST_BYTES))
    assert parcelled(Code(root=tree), folder) is None
    (tree / "noise").write_bytes(os.urandom(MOST_BYTES))
    found = parcelled(Code(root=tree), folder)
    assert found is not None
    assert MOST_BYTES < found.stat().st_size < 2 * MOST_BYTES


def test_an_environment_with_folders_of_the_code_is_not_shared(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.py").write_text("a")
    make = execution_maker(tmp_path, runtime=RecipeRuntime(image="i"))
    execution = make("true", code=Code(root=tree))
    folder = '[[packages]]\nname = "a"\ndirectory = { path = "." }\n'
    wheel = '{ url = "https://host/a-1-py3-none-any.whl", hashes = { sha256 = "ab" } }'
    package = f'[[packages]]\nname = "a"\nversion = "1"\nwheels = [{wheel}]\n'
    for lock, shares in ((folder, False), (package, True)):
        recipe = RecipeRuntime(
            image="i", lock=f'lock-version = "1.0"\n{lock}'.encode(), lock_digest="sha256:1"
        )
        made = Blueprint(
            execution=execution, settings=Settings(cache_claim="c"), image="i", lock_digest="sha256:1",
            bundle=bundle_of(execution, recipe),
        )  # fmt: skip
        assert made.shares is shares
