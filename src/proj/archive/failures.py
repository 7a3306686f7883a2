"""What can be wrong with an archive."""

from __future__ import annotations

from proj.errors import StoreError


class DamagedError(StoreError):
    """An archive of runs is not as it was written, or not to be trusted; the message names the file in it."""

    code = "archive_damaged"


class SignatureError(StoreError):
    """An archive is not signed by whom it should be, or cannot be signed."""

    code = "signature"
