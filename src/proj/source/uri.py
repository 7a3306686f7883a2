"""What a user may name as a project: parsed once, credentials taken out, `#subdir` normalised."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from proj.errors import SourceError
from proj.process import redact

ARCHIVE_SUFFIXES = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz",
)  # fmt: skip
SUPPORTED = (
    "Supported: a folder, file://, https:// or http:// (git or an archive), ssh://, git://, "
    "user@host:path, git+https://, and .zip or .tar(.gz, .bz2, .xz) files; each with #subdir."
)
# Patterns are compiled where they are first used: a folder needs none but the first two, and each costs time.
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_REMOTE_HELPER = r"[A-Za-z0-9][A-Za-z0-9+.-]*::"
# host:path as ssh takes it: no slash before the colon, a host of two letters or more (no drive letter)
_SCP_LIKE = r"(?a:(?:[\w.+-]+@)?(?:\[[0-9A-Fa-f:]+\]|\w[\w.-]+):(?!//).+)"
# userinfo, also where a password holds an unescaped slash; a port is none
_USERINFO = r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*@|[^/?#@]*:(?!\d+(?:[/?#]|$))[^\s]*?@(?=[^/@]*(?:/|$)))"
_SIGNED_QUERY = r"(?i)([?&;][^=&;#]*(?:token|secret|passw|key|sig|auth|cred)[^=&;#]*=)[^&;#]*"
_CONTROL = r"[\x00-\x1f\x7f]"


class Credentials(msgspec.Struct, frozen=True):
    """Name and password out of a URL, good for one scheme, host and port."""

    scope: str
    """`https://host:port`: where they may be sent."""
    username: str
    password: str | None

    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown; a name alone may be a token."""
        from urllib.parse import quote

        nameless = self.password in (None, "", "x-oauth-basic")
        given = [text for text in (self.password, self.username if nameless else None) if text]
        return tuple(sorted({*given, *(quote(text, safe="") for text in given)}, key=len, reverse=True))

    def insert_into(self, url: str) -> str:
        """The URL with these credentials, for a client that takes them from there; never shown."""
        from urllib.parse import quote

        scheme, _, rest = url.partition("://")
        password = "" if self.password is None else ":" + quote(self.password, safe="")
        return f"{scheme}://{quote(self.username, safe='')}{password}@{rest}"

    def __repr__(self) -> str:
        return f"Credentials({self.scope!r}, …)"


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed URI."""

    kind: Literal["local", "git", "archive"]
    uri: str
    """What the user asked for, without credentials and quotes."""
    subdir: str = ""
    """Normalised, relative, with `/`; never leads out."""
    path: Path | None = None
    """A folder, repository or archive on this machine; None: `url` is remote."""
    url: str = ""
    """Where to fetch from, without credentials."""
    credentials: Credentials | None = None


def parse(uri: str, *, cwd: Path) -> Location:
    """Find out what `uri` stands for.

    Args:
        uri: As the user typed it; surrounding quotes are dropped.
        cwd: What a relative path is relative to.

    Raises:
        SourceError: It is nothing that can be fetched, or a path that does not exist.
    """
    text = _unquote(uri)
    if not text:
        raise SourceError("The project's URI is empty.", hint="Name a folder, such as `.`, or a URL.")
    if not text.isprintable() and re.search(_CONTROL, text):
        raise SourceError(f"The project's URI holds a control character: {redact_url(text)!r}")
    if text.startswith("-"):
        raise SourceError(
            f"The project's URI begins with a dash: {text!r}",
            hint=f"If that is a folder's name, write ./{text}.",
        )
    if "::" in text and re.match(_REMOTE_HELPER, text):
        raise SourceError(f"Git's remote helpers are not supported: {redact_url(text)}", hint=SUPPORTED)
    scheme = re.match(_SCHEME, text) if "://" in text else None
    if scheme:
        return _parse_url(text, scheme.group(1).lower(), cwd)
    path, subdir = _split_local(text, cwd)
    if path is not None:
        return _local(path, subdir, text)
    base, _, subdir = text.partition("#")
    if re.fullmatch(_SCP_LIKE, base):
        return Location(kind="git", uri=text, url=check_git_url(base), subdir=normalise_subdir(subdir))
    raise _missing(base, cwd)


def _unquote(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text


def _parse_url(text: str, scheme: str, cwd: Path) -> Location:
    forced_git = scheme.startswith("git+")
    url = text[4:] if forced_git else text
    scheme = scheme[4:] if forced_git else scheme
    if scheme == "file":
        return _parse_file_url(url, text, cwd, forced_git=forced_git)
    if scheme not in ("http", "https", "ssh", "git"):
        raise SourceError(f"Projects cannot be fetched from {scheme}://: {redact_url(text)}", hint=SUPPORTED)
    base, _, subdir = url.partition("#")
    clean, credentials = split_credentials(base)
    if credentials and re.search(_CONTROL, credentials.username + (credentials.password or "")):
        raise SourceError(f"The credentials for {redact_url(text)} hold a control character.")
    is_archive = scheme.startswith("http") and not forced_git and is_archive_name(clean.partition("?")[0])
    return Location(
        kind="archive" if is_archive else "git",
        uri=redact_url(text),
        url=check_git_url(clean),
        credentials=credentials,
        subdir=normalise_subdir(subdir),
    )


def _parse_file_url(url: str, text: str, cwd: Path, *, forced_git: bool) -> Location:
    path, subdir = path_of_file_url(url)
    if not path.exists():
        raise _missing(str(path), cwd)
    location = _local(path, subdir, text)
    return msgspec.structs.replace(location, kind="git") if forced_git else location


def path_of_file_url(url: str) -> tuple[Path, str]:
    """Path and fragment of a `file://` URL.

    Raises:
        SourceError: It names another host or no absolute path.
    """
    from urllib.parse import unquote, urlsplit

    base, _, fragment = url.partition("#")
    parts = urlsplit(base)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise SourceError(
            f"Not the URL of a file on this machine: {redact_url(url)}",
            hint="Write file:///absolute/path, or the path alone.",
        )
    return Path(path), fragment


def _split_local(text: str, cwd: Path) -> tuple[Path | None, str]:
    """The path that exists, and what follows it after a `#`; a `#` may be part of a folder's name."""
    end = len(text)
    while end > 0:
        path = Path(os.path.abspath(cwd / text[:end]))  # noqa: PTH100  `..` as the shell shows it
        if os.path.lexists(path):
            return path, text[end + 1 :]
        end = text.rfind("#", 0, end)
    return None, ""


def _local(path: Path, subdir: str, text: str) -> Location:
    if path.is_dir():
        kind: Literal["local", "git"] = "git" if is_bare_repository(path) else "local"
        return Location(kind=kind, uri=text, path=path, subdir=normalise_subdir(subdir))
    if is_archive_name(path.name) and path.is_file():
        return Location(kind="archive", uri=text, path=path, subdir=normalise_subdir(subdir))
    raise SourceError(
        f"Neither a folder nor an archive: {path}",
        hint=f"To run one file, name its folder and the file: proj run {path.parent} -e {path.name}",
    )


def is_bare_repository(path: Path) -> bool:
    """Whether a folder is a git repository without a working tree."""
    return (
        (path / "HEAD").is_file()
        and (path / "objects").is_dir()
        and (path / "refs").is_dir()
        and not (path / ".git").exists()
    )


def is_archive_name(name: str) -> bool:
    """Whether a file name or URL path ends as an archive's does."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _missing(text: str, cwd: Path) -> SourceError:
    import difflib

    path = Path(os.path.abspath(cwd / text))  # noqa: PTH100  see _split_local
    hint = "Name a folder that exists, or a URL such as https://host/owner/repository."
    if re.fullmatch(r"(?:www\.)?[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev)/.+", text):
        hint = f"For a repository write https://{text}"
    elif path.parent.is_dir():
        try:
            close = difflib.get_close_matches(
                path.name, sorted(entry.name for entry in path.parent.iterdir()), n=3
            )
        except OSError:
            close = []
        if close:
            hint = f"Did you mean {' or '.join(str(Path(text).parent / name) for name in close)}?"
    return SourceError(f"No such folder or archive: {path}", hint=hint)


def normalise_subdir(text: str) -> str:
    """Bring a `#subdir` to its shortest form: `./a.b/../c` is `c`.

    Raises:
        SourceError: It leads out of the project.
    """
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                raise SourceError(
                    f"The folder after # leads out of the project: {text!r}",
                    hint="Write it relative to the project's top, such as #sub/folder.",
                )
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def enter_subdir(base: Path, subdir: str, *, root: Path, shown: str) -> Path:
    """The folder `subdir` of `base`.

    Args:
        base: Where `subdir` starts.
        subdir: As `normalise_subdir` returns it.
        root: What must not be left, not even through a symbolic link.
        shown: How the source is called in messages.

    Raises:
        SourceError: It is not there, or is a link that leads out of `root`.
    """
    if not subdir:
        return base
    path = base / subdir
    if not path.is_dir():
        raise SourceError(f"No folder {subdir!r} in {shown}.", hint=_folders_near(base, subdir))
    if not path.resolve().is_relative_to(root.resolve()):
        raise SourceError(f"The folder {subdir!r} is a link that leads out of {shown}.")
    return path


def _folders_near(base: Path, subdir: str) -> str:
    deepest = base
    for part in subdir.split("/"):
        if not (deepest / part).is_dir():
            break
        deepest /= part
    names = sorted(entry.name for entry in deepest.iterdir() if entry.is_dir() and entry.name != ".git")
    where = deepest.relative_to(base).as_posix()
    place = "Its top" if where == "." else f"The folder {where!r}"
    if not names:
        return f"{place} has no folders."
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""  # noqa: PLR2004  what fits a line or two
    return f"{place} has: {', '.join(names[:20])}{more}."


# --- credentials --------------------------------------------------------------------------------------


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """A URL without what stands before the host, and that as credentials.

    Of ssh URLs only a password is taken out: the user's name belongs to the address.
    """
    match = re.match(_USERINFO, url)
    if match is None:
        return url, None
    from urllib.parse import unquote

    scheme, userinfo = match.group(1), match.group(2)[:-1]
    rest = url[match.end() :]
    if not scheme.lower().startswith("http"):
        return f"{scheme}{userinfo.partition(':')[0]}@{rest}", None
    username, colon, password = userinfo.partition(":")
    scope = scheme.lower() + re.split(r"[/?#]", rest, maxsplit=1)[0]
    return scheme + rest, Credentials(scope, unquote(username), unquote(password) if colon else None)


def redact_url(url: str) -> str:
    """A URL or path as it may be recorded and shown: no password, no token, no signature."""
    prefix = "git+" if url.lower().startswith("git+") else ""
    clean, _ = split_credentials(url[len(prefix) :])
    if "://" in clean and "?" in clean:
        clean = re.sub(_SIGNED_QUERY, r"\1***", clean)
    return prefix + clean


def redact_text(text: str, credentials: Credentials | None = None) -> str:
    """A tool's output without what stands before the host of a URL, and without given credentials."""
    return redact(text, credentials.secrets() if credentials else ())


def check_git_url(url: str) -> str:
    """Return `url` if git can be trusted with it.

    A URL, host or path that begins with a dash would be taken for an option by git or ssh
    (CVE-2017-1000117), and `ext::` runs any program.

    Raises:
        SourceError: It cannot.
    """
    host = host_of(url)
    path = re.sub(r"^[A-Za-z0-9+.-]+://[^/]*", "", url) if "://" in url else url.partition(":")[2]
    user_host = url.partition("://")[2] or url
    if (
        re.search(_CONTROL, url)
        or re.match(_REMOTE_HELPER, url)
        or url.startswith("-")
        or user_host.startswith("-")
        or host.startswith("-")
        or path.lstrip("/").startswith("-")
    ):
        raise SourceError(f"Not a URL that git can be given: {redact_url(url)!r}", hint=SUPPORTED)
    if "://" in url and not host and not url.lower().startswith("file://"):
        raise SourceError(f"The URL names no host: {redact_url(url)!r}", hint=SUPPORTED)
    return url


def host_of(url: str) -> str:
    """The host that a URL or scp-like address names; empty for a path."""
    if "://" in url:
        authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
        return re.sub(r":\d*$", "", authority.rpartition("@")[2])
    if re.fullmatch(_SCP_LIKE, url):
        return url.partition("@")[2].partition(":")[0] if "@" in url else url.partition(":")[0]
    return ""
