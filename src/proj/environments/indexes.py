"""Where packages come from: what the user has configured for pip, said to uv."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from proj.process import strip_userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable

# pip's option -> the variables with which uv takes the same. The first is set, where none of them is.
_SAME = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", "UV_INDEX"),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "timeout": ("UV_HTTP_TIMEOUT",),
}
_INDEX_OPTIONS = ("index-url", "extra-index-url", "find-links", "no-index")

_QUOTED = r"""(["'])(?P<text>[a-zA-Z][a-zA-Z0-9+.-]*://[^"'\s]+)\1"""

# What would make uv look at another project or Python than the one in hand.
_REMOVED = (
    "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP",
    "UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIR", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON",
    "UV_EXCLUDE_NEWER", "UV_FROZEN", "UV_LOCKED", "UV_REQUIRE_HASHES", "UV_NO_VERIFY_HASHES",
    "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_VENV_SEED", "UV_VENV_CLEAR", "UV_CUSTOM_COMPILE_COMMAND",
    "UV_RESOLUTION", "UV_COMPILE_BYTECODE", "PIP_REQUIRE_VIRTUALENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX",
)  # fmt: skip


def restore_credentials(lock: str, requirements: Iterable[str], *, shipped: str = "") -> str:
    """A lock whose URLs have the credentials again that the project's files give; for the installer alone.

    Args:
        lock: Its text, without them.
        requirements: Lines that may have URLs with credentials; what a lock names below such a URL gets them.
        shipped: A lock of the project, which may have them itself: the same URLs get them.
    """
    known: dict[str, str] = {}
    for match in re.finditer(_QUOTED, shipped) if "@" in shipped else ():
        known.setdefault(strip_userinfo(match["text"]), match["text"])
    if known:
        lock = re.sub(
            _QUOTED, lambda match: f"{match[1]}{known.get(match['text'], match['text'])}{match[1]}", lock
        )
    above: dict[str, str] = {}
    for line in requirements:
        for match in re.finditer(r"[a-z][a-z0-9+.-]*://[^\s@\"'<>/]+@[^\s\"'<>#;]+", line, re.IGNORECASE):
            url = match[0].removeprefix("git+")
            above.setdefault(strip_userinfo(url), url)
    for plain in sorted(above, key=len, reverse=True):
        # A host's name may begin with that of another: the password is not for that one.
        pattern = f'"{re.escape(plain)}(?:(?<=/)|(?=["/#?\\s]|$))'
        lock = re.sub(pattern, lambda _, url=above[plain]: f'"{url}', lock)  # type: ignore[misc]
    return lock


def pip_settings() -> dict[str, str]:
    """The user's index settings for pip: its configuration files, then `PIP_` variables, which win."""
    settings: dict[str, str] = {}
    for file in _pip_files():
        settings.update(_read_pip_file(file))
    for option in (*_SAME, "no-index"):
        value = os.environ.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            settings[option] = value
    return settings


def tool_variables(*, with_find_links: bool = True) -> dict[str, str | None]:
    """Variables for uv and pip: nothing of the caller's environment, the user's indexes, no progress bars.

    Args:
        with_find_links: Whether the user's `find-links` are passed on; links have no upload dates.
    """
    variables: dict[str, str | None] = dict.fromkeys(_REMOVED)
    variables |= {"NO_COLOR": "1", "FORCE_COLOR": None, "CLICOLOR_FORCE": None, "UV_NO_PROGRESS": "1"}
    variables |= {"UV_PYTHON_DOWNLOADS": "never", "GIT_TERMINAL_PROMPT": "0", "PIP_NO_INPUT": "1"}
    variables["UV_PREVIEW_FEATURES"] = ",".join(
        filter(None, (os.environ.get("UV_PREVIEW_FEATURES"), "pylock", "extra-build-dependencies"))
    )
    # Several indexes mean to pip that the best version of all of them counts; a project written for pip
    # expects that of its `--extra-index-url`.
    if "UV_INDEX_STRATEGY" not in os.environ:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    own_indexes = _uv_has_indexes()
    for option, value in pip_settings().items():
        names = _SAME.get(option)
        if names is None or any(os.environ.get(name) for name in names):
            continue
        if own_indexes and option in _INDEX_OPTIONS:
            continue
        variables[names[0]] = ",".join(value.split()) if option == "find-links" else " ".join(value.split())
    if not with_find_links:
        variables["UV_FIND_LINKS"] = None
    return variables


def no_index() -> bool:
    """Whether the user has told pip to use no index."""
    return pip_settings().get("no-index", "").lower() in ("1", "true", "yes", "on")


def has_user_find_links() -> bool:
    """Whether links of the user's own configuration are looked at."""
    return bool(
        os.environ.get("UV_FIND_LINKS") or (not _uv_has_indexes() and pip_settings().get("find-links"))
    )


def _pip_files() -> list[Path]:
    configured = os.environ.get("PIP_CONFIG_FILE")
    if configured == os.devnull:
        return []
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    files += [Path.home() / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
    files += [Path.home() / "Library" / "Application Support" / "pip" / "pip.conf"]
    return [*files, Path(configured)] if configured else files


def _read_pip_file(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update((name.replace("_", "-"), value) for name, value in parser.items(section) if value)
    return {name: value for name, value in settings.items() if name in _SAME or name == "no-index"}


def _uv_has_indexes() -> bool:
    """Whether the user configures indexes for uv itself: then pip's are not mixed in."""
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for file in (Path("/etc/uv/uv.toml"), config_home / "uv" / "uv.toml"):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if re.search(
            r"(?m)^\s*(index-url|extra-index-url|find-links|no-index|\[\[(pip\.)?index\]\]|\[?index)\b", text
        ):
            return True
    return False
