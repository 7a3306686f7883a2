"""The date whose packages a project gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.times import parse_time

if TYPE_CHECKING:
    from proj.model import Checkout


def as_of_s(text: str, checkout: Checkout) -> int | None:
    """The time, in seconds since the epoch, that `--as-of` means; packages uploaded later do not count.

    Args:
        text: `now`, `commit`, or a date or time.
        checkout: Whose commit counts; a tree with changes, or without git, is of now.

    Returns:
        None for now.

    Raises:
        UsageError: It is none of these.
    """
    if text == "now":
        return None
    if text == "commit":
        git = checkout.git
        return git.committed_at_s if git is not None and not git.dirty else None
    return parse_time(text)
