"""Names that git keeps in no tree, since on some file systems they would lead into a repository."""

from __future__ import annotations

import re

# code points that HFS+ ignores in names, as in git's utf8.c
_IGNORED = dict.fromkeys(
    (*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF), None
)
_REPOSITORY = r"(?is)(?:\.git|git~1)[ .]*(?::.*)?"


def is_refused(path: str) -> bool:
    """Whether a part of a path is a name of `.git` in other letters, or the short name of NTFS for it.

    Git does not add such a file, and refuses a bundle that holds one.
    """
    if "git" not in path.translate(_IGNORED).lower():
        return False
    return any(
        re.fullmatch(_REPOSITORY, name) or name.translate(_IGNORED).lower() == ".git"
        for name in path.replace("\\", "/").split("/")
    )
