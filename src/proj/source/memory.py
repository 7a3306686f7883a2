"""What git said when a tree was stored, so that the next run of the same tree need not ask it again."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj.source.digests import sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIX = ".known"
_DIGITS = (40, 64)


class Memory:
    """One tree in a store of bundles.

    Args:
        store: The store.
        content: All that decides what git says.
    """

    def __init__(self, store: Path, content: Sequence[bytes]) -> None:
        digest = sha256()
        for chunk in content:
            digest.update(b"%d " % len(chunk))
            digest.update(chunk)
        self._path = store / f"{digest.hexdigest()}{SUFFIX}"

    def recall(self) -> tuple[str | None, list[str]]:
        """The bundle's digest, and what git said; None for what is not known."""
        try:
            digest, *answers = self._path.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return None, []
        hashes = [answer.removeprefix("040000 tree ").rstrip("\t") for answer in answers]
        if any(len(each) not in _DIGITS or each.strip("0123456789abcdef") for each in hashes):
            return None, []
        return digest, answers

    def keep(self, digest: str, answers: Sequence[str]) -> None:
        """Remember it; where that fails, the next run asks again."""
        building = self._path.with_name(f".{os.urandom(8).hex()}")
        with contextlib.suppress(OSError):
            building.write_text("".join(f"{line}\n" for line in (digest, *answers)), "utf-8")
            building.replace(self._path)
