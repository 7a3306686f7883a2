from __future__ import annotations

from typing import TYPE_CHECKING

from proj import source
from source_repositories import Repo, fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def test_a_partial_clone_gets_what_it_lacks_without_being_written(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{repo.path}"
    repo.git("clone", "--quiet", "--filter=blob:none", "--no-checkout", url, str(tmp_path / "partial"))
    before = fingerprint(tmp_path / "partial")
    checkout = source.fetch("partial", version="v1", cwd=tmp_path)
    assert (checkout.root / "sub/train.py").read_text("utf-8") == "print(1)\n"
    source.release(checkout)
    assert fingerprint(tmp_path / "partial") == before
