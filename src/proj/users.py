"""Who runs this."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """The name of whoever runs this, found as `getpass.getuser` does (which imports `termios`)."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(variable):
            return os.environ[variable]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return "unknown"
