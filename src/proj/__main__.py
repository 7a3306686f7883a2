"""The program `proj`, also as `python -m proj`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    # What is imported is no garbage: to look for some meanwhile takes a twentieth of a no-op run.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from proj import cli

    cli.main()


if __name__ == "__main__":
    main()
