"""Match specs as conda files write them: `python=3.8`, `numpy>=1.2,<2`, `pkg=1.2=build_0`, brackets.

The grammar is that of conda's `MatchSpec` (conda/models/match_spec.py); solving is left to who solves. This
reads as much of a spec as it takes to show it, to change it, and to say it to pip.
"""

from __future__ import annotations

import re

import msgspec

from proj.environments.conda.explicit import entries, name_version_build
from proj.environments.conda.platforms import split_subdir
from proj.environments.conda.urls import bare_text
from proj.errors import EnvironmentFailedError

_COMMENT = re.compile(r"\s+#\s.*$|\s+#$|\s*#\s*\[.*\]\s*$")
_BRACKETS = re.compile(r"\[(?P<inner>[^\[\]]*)\]$")
_FIELD = re.compile(
    r"""\s*(?P<key>[a-z0-9_]+)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^,\s]+)\s*,?""", re.IGNORECASE
)
_NAME = re.compile(r"^(?P<name>[A-Za-z0-9_][A-Za-z0-9_.\-]*|[A-Za-z0-9_])(?P<rest>.*)$", re.DOTALL)
_PACKAGE = re.compile(r"^[a-z][a-z0-9+.-]*://[^\s\[\]]*/[^/\s\[\]:]+\.(?:conda|tar\.bz2)(?:#\S*)?$")
_GLUED = re.compile(
    r"^(?P<version>(?:===?|=|~=|!=|[<>]=?)?[^=<>!~,]*[^=<>!~,|])=(?P<build>[^=<>!~,|][^=<>!~,]*|)$"
)
_CLAUSE = re.compile(r"^(?:===?|=|~=|!=|[<>]=?)?(?:[^=<>!~]|!(?!=))*[<>=!~]?$")
"""One condition; a `!` within separates an epoch."""
_SHA256_DIGITS = 64
_OPERATOR = re.compile(r"[=<>!~]")


class CondaSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a file asks for: a package, perhaps in certain versions, builds, or from a certain channel."""

    written: str
    """As it stands in the file, without a comment, and without the secrets of a channel's URL."""
    name: str
    version: str = ""
    """The constraint as conda writes it, such as `>=1.2,<2`, `1.2.*` or `==1.2`; empty: any."""
    build: str = ""
    channel: str = ""
    """In front of `::`, without a platform; a name or a URL."""
    subdir: str = ""
    """The platform that the spec insists on."""
    fields: tuple[tuple[str, str], ...] = ()
    """What else stands in brackets."""

    def text(self, *, channel: str = "", build: bool = True) -> str:
        """The spec in the one form that every solver reads alike: brackets.

        Args:
            channel: The URL of its channel, if it names one.
            build: Whether the build string is kept.
        """
        fields = [("version", self.version), ("build", self.build if build else ""), ("channel", channel)]
        fields += [("subdir", self.subdir), *self.fields]
        inner = ",".join(f'{key}="{value}"' for key, value in fields if value)
        return f"{self.name}[{inner}]" if inner else self.name

    @property
    def exact(self) -> bool:
        """Whether it names one build, as `conda env export` does."""
        return bool(self.build) and "*" not in self.build and not self.build.startswith("^")


def parse_spec(line: str) -> CondaSpec:
    """Parse a match spec.

    Raises:
        EnvironmentFailedError: It is none.
    """
    text = _COMMENT.sub("", line).strip()
    if text[:1] == text[-1:] and text[:1] in "\"'":
        text = text.strip("\"'")
    if _PACKAGE.match(text):
        return _of_url(text)
    fields: dict[str, str] = {}
    rest = text
    brackets = _BRACKETS.search(rest)
    if brackets:
        rest = rest[: brackets.start()].rstrip()
        for field in _FIELD.finditer(brackets["inner"]):
            fields[field["key"].lower()] = field["value"].strip("\"'")
    channel, _, rest = rest.rpartition("::")
    namespace = re.match(r"^(?P<channel>.*):[A-Za-z0-9_]*$", channel)  # conda's `channel:namespace:name`
    if namespace and "://" not in channel:
        channel = namespace["channel"]
    match = _NAME.match(rest.strip())
    if match is None:
        raise _unreadable(line)
    version, build = _version_and_build(match["rest"], line)
    channel, subdir = split_subdir(fields.pop("channel", channel).strip())
    return CondaSpec(
        written=bare_text(text), name=match["name"].lower().rstrip("."),
        version=fields.pop("version", version),
        build=_either(fields.pop("build", fields.pop("build_string", build))),
        channel=channel, subdir=fields.pop("subdir", subdir), fields=tuple(fields.items()),
    )  # fmt: skip


def _of_url(text: str) -> CondaSpec:
    """The spec of a package by its URL: that very one, from its channel."""
    entry = next(entries(text))
    if entry.url is None:
        raise _unreadable(text)
    name, version, build = name_version_build(entry.url)
    channel, subdir = split_subdir(entry.url.rpartition("/")[0])
    if not subdir or not version:
        raise _unreadable(text)
    kind = "sha256" if len(entry.digest) == _SHA256_DIGITS else "md5"
    return CondaSpec(
        written=bare_text(text), name=name.lower(), version=f"=={version}", build=build, channel=channel,
        subdir=subdir, fields=((kind, entry.digest),) if entry.digest else (),
    )  # fmt: skip


def _either(build: str) -> str:
    """Builds one of which is asked for, as the pattern that solvers know."""
    return f"^(?:{build.replace('*', '.*')})$" if "|" in build and not build.startswith("^") else build


def _version_and_build(rest: str, line: str) -> tuple[str, str]:
    """Of what stands behind the name: `=1.2`, `=1.2=build`, ` 1.2 build`, `>=1.2,<2`, ` >=1.2 build*`."""
    rest = rest.replace('"', "").replace("'", "").strip()
    if not rest:
        return "", ""
    if not _OPERATOR.match(rest) and re.match(r"^[\w*.!+^$]", rest) is None:
        raise _unreadable(line)
    rest = re.sub(r"\s*([,|])\s*", r"\1", rest)
    rest = re.sub(r"([=<>!~]+)\s+", r"\1", rest)
    version, build = _parted(rest, line)
    version = re.sub(r"\.(?=$|[,|=])", "", version)
    glued = _GLUED.match(version)
    if glued and not build:
        version, build = glued["version"], glued["build"]
        exact = version.lstrip("=")
        if version.startswith("=") and exact and not re.search(r"[*|]", exact):
            return f"=={exact}", build  # with a build, one `=` means exactly that version
        if "|" in exact:
            return _spelled(version, exact=False), build
        return exact if version.startswith("=") else version, build
    if any(_CLAUSE.match(clause) is None for clause in re.split(r"[,|]", version)):
        raise _unreadable(line)
    return _spelled(version, exact=bool(build)), build


def _parted(rest: str, line: str) -> tuple[str, str]:
    """The version and the build that a blank stands between."""
    if ";" in rest:
        raise _unreadable(line, "What has a condition behind `;` is pip's: write it below `pip:`.")
    if not rest.strip("=<>!~") or rest[-1] in ",|":
        raise _unreadable(line, "No version stands behind its operator: write one, or the name alone.")
    version, *others = rest.split()
    if any(re.match(r"[<>!~]|==", other) for other in others):
        # conda refuses it too: a build has none of these (`_parse_version_plus_build` in match_spec.py).
        raise _unreadable(line, f"Write a comma between its bounds: {_with_commas(line)}")
    if len(others) > 1:
        raise _unreadable(line)
    return version, others[0].removeprefix("=") if others else ""


def _spelled(version: str, *, exact: bool) -> str:
    """The constraint without conda's abbreviation: `=1.2` is `1.2.*`, a bare version is that very one."""
    if version.startswith("===") or re.search(r"[=<>!~]$", version):
        version = version.lstrip("=") if version.startswith("===") else version.rstrip("=<>!~")
        return f"=={version}"
    if exact:
        return f"=={version.lstrip('=')}" if re.fullmatch(r"={0,2}[\w.!+]+", version) else version
    if version.startswith("=") and not version.startswith("=="):
        # One `=` in front makes a bare version a prefix, and the bare ones behind it in the same list.
        first, *others = re.split(r"([,|])", version[1:])
        return "".join([first if "*" in first else f"{first}.*", *others])
    if re.fullmatch(r"[\w.!+]+", version):
        return f"=={version}"
    return version.removeprefix("==") if version.startswith("==") and version.endswith("*") else version


def _with_commas(line: str) -> str:
    text = re.sub(r"([=<>!~])\s+", r"\1", bare_text(_COMMENT.sub("", line).strip()))
    return re.sub(r"([=<>!~][\w.*+!]+)\s+(?=[<>!~]|==)", r"\1,", text)


def _unreadable(
    line: str, hint: str = "Write it like numpy, numpy=1.21, 'numpy>=1.19,<2' or conda-forge::numpy."
) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"{bare_text(line.strip())!r} is no package that conda could look for.", hint=hint
    )
