"""Rows of what could explain a difference: code, packages, parameters, inputs, surroundings, command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.compare.leftout import large_file_rows, left_out_rows, named
from proj.compare.portable import written
from proj.compare.rows import Row, Status, row, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proj.compare.facts import RunFacts, SourceFacts
    from proj.compare.locks import PackageFacts
    from proj.host import Host
    from proj.inputs import Input

NOT_RECORDED = "not recorded"


def cause_rows(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    """Yield what the two runs were made of."""
    yield from _code(left.source, right.source)
    yield from _packages(left, right)
    yield from _parameters(left, right)
    yield from _inputs(left, right)
    yield from _variables(left, right)
    yield from _interpreter(left, right)
    yield from _host(left.host, right.host)
    yield from _image(left, right)
    yield from _backend(left, right)
    yield from _command(left, right)
    if left.timeout != right.timeout:
        yield row("command", "time limit", left.timeout, right.timeout)
    if left.docker_args or right.docker_args:
        yield from _optional("command", "docker arguments", left.docker_args, right.docker_args)


def _optional(
    group: str, item: str, left: str | None, right: str | None, *, required: bool = False
) -> Iterator[Row]:
    """A value that not every run has; known of one run only, it cannot be compared."""
    if left is None and right is None:
        return
    if left is None or right is None:
        yield unknown(group, item, (left, right), f"{NOT_RECORDED} of one of the runs", required=required)
    else:
        yield row(group, item, left, right, required=required)


def _image(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    """What ran; a name alone says nothing of it."""
    if left.image is not None and right.image is not None:
        yield row("image", "digest", left.image, right.image, required=True)
        return
    shown = [run.image or run.image_name for run in (left, right)]
    if shown != [None, None]:
        whose = "both" if left.image is None and right.image is None else "one"
        yield unknown("image", "digest", shown, f"{NOT_RECORDED} of {whose} of the runs", required=True)


def _backend(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    """Where it ran, and by which settings: for runs on this machine there are none."""
    settings = left.backend_settings, right.backend_settings
    if left.backend != right.backend or any(settings):
        yield from _optional("backend", "name", left.backend, right.backend)
    if left.backend != right.backend:
        return
    if settings[0] is None or settings[1] is None:
        if any(settings):
            told = [None if each is None else " ".join(sorted(each)) for each in settings]
            yield unknown("backend", "settings", told, f"{NOT_RECORDED} of one of the runs")
        return
    for name in sorted({*settings[0], *settings[1]}):
        yield row("backend", name, settings[0].get(name), settings[1].get(name))


def _command(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    """The shell line; that it holds other values of parameters is said by their own rows."""
    lines = [left.command, right.command]
    if left.command is not None and right.command is not None and left.command != right.command:
        either = sorted({*left.params, *right.params})
        names = [name for name in either if left.params.get(name) != right.params.get(name)]
        templates = {_template(run.command or "", run.params, names) for run in (left, right)}
        if len(templates) == 1:
            reason = "the same but for the parameters"
            yield Row(
                group="command",
                item="line",
                status=Status.SAME,
                left=left.command,
                right=right.command,
                reason=reason,
                required=True,
            )
            return
    yield from _optional("command", "line", lines[0], lines[1], required=True)


def _template(line: str, params: Mapping[str, str], names: list[str]) -> str:
    """A shell line with the values of some parameters taken out, where they stand as words or in quotes."""
    for name in sorted(names, key=lambda name: -len(params.get(name, ""))):
        value = params.get(name)
        for text in written(value) if value else ():
            line = re.sub(rf"(?<![\w.]){re.escape(text)}(?![\w.])", lambda _: "{}", line)
    return line


def _code(left: SourceFacts | None, right: SourceFacts | None) -> Iterator[Row]:
    commits = [source.commit if source else None for source in (left, right)]
    trees = [source.tree if source else None for source in (left, right)]
    shown = [_state(left), _state(right)]
    if None not in trees:
        yield row("code", "tree", trees[0], trees[1], required=True)
    elif left and right and left.dirty is False and right.dirty is False and None not in commits:
        # Of a clean commit the hash says as much as that of its tree.
        yield row("code", "tree", *shown, required=True)
    else:
        told = "what was not committed is not recorded"
        if left is None or right is None or commits == [None, None]:
            told = f"the code is {NOT_RECORDED}"
        yield unknown("code", "tree", shown, told, required=True)
    yield from _optional("code", "commit", commits[0], commits[1])
    yield from _uncommitted(left, right)
    yield from left_out_rows(left, right)
    yield from large_file_rows(left, right)


def _uncommitted(left: SourceFacts | None, right: SourceFacts | None) -> Iterator[Row]:
    """The names of the files that are not as committed; what is in them is part of the tree."""
    names = [
        source.changed_files if source and source.dirty is not None else None for source in (left, right)
    ]
    shown = [None if each is None else ", ".join(each) for each in names]
    if names[0] is None or names[1] is None:
        yield from _optional("code", "uncommitted", shown[0], shown[1])
        return
    one_sided = sorted({*names[0]} ^ {*names[1]})
    reason = f"in one of the runs only: {named(one_sided)}" if one_sided else None
    yield row("code", "uncommitted", shown[0], shown[1], reason=reason)


def _state(source: SourceFacts | None) -> str | None:
    if source is None or source.commit is None:
        return None
    return f"commit {source.commit}" + (" with uncommitted changes" if source.dirty else "")


def _packages(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    if left.packages is None or right.packages is None:
        told = [_counted(each.packages) for each in (left, right)]
        if told != [None, None]:
            yield unknown("packages", "all", told, f"{NOT_RECORDED} of one of the runs", required=True)
        return
    alike = True
    for name in sorted({*left.packages, *right.packages}):
        found = _package(name, left.packages.get(name), right.packages.get(name))
        alike = alike and found.status is Status.SAME
        yield found
    if alike and left.lock_digest is not None and right.lock_digest is not None:
        # Otherwise the packages say what is different about the lock.
        reason = "the same packages, locked for other platforms or with other settings"
        yield row("packages", "lock", left.lock_digest, right.lock_digest, reason=reason)


def _counted(packages: Mapping[str, PackageFacts] | None) -> str | None:
    return None if packages is None else f"{len(packages)} packages"


def _package(name: str, left: PackageFacts | None, right: PackageFacts | None) -> Row:
    versions = [package.version if package else None for package in (left, right)]
    found = row("packages", name, versions[0], versions[1], required=True)
    if (
        left
        and right
        and left.version == right.version
        and left.files
        and right.files
        and left.files != right.files
    ):
        return Row(
            group="packages",
            item=name,
            status=Status.DIFFERENT,
            left=f"{left.version} ({left.files[:12]})",
            right=f"{right.version} ({right.files[:12]})",
            reason="the same version from other files",
            required=True,
        )
    if found.status is Status.SAME and left and right and (left.loose or right.loose):
        reason = f"what {left.loose or right.loose} held is not recorded: it is no part of the code"
        return unknown("packages", name, versions, reason, required=True)
    return found


def _parameters(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    given = left.given | right.given
    for name in sorted({*left.params, *right.params}):
        values = left.params.get(name), right.params.get(name)
        found = row("parameters", name, *values, required=True)
        if name not in given:
            reason = "logged by the program"
            found = row("parameters", name, *values, required=True, reason=reason)
        elif found.status is Status.DIFFERENT and _same_content(name, left, right):
            found = Row(
                group="parameters",
                item=name,
                status=Status.SAME,
                left=values[0],
                right=values[1],
                reason="another path, the same content",
                required=True,
            )
        yield found


def _same_content(name: str, left: RunFacts, right: RunFacts) -> bool:
    digests = [
        (run.inputs or {})[name].digest if name in (run.inputs or {}) else None for run in (left, right)
    ]
    return digests[0] is not None and digests[0] == digests[1]


def _inputs(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    unread = {name for run in (left, right) if run.inputs is None for name in run.paths}
    for name in sorted({*(left.inputs or {}), *(right.inputs or {}), *unread}):
        one = (left.inputs or {}).get(name)
        other = (right.inputs or {}).get(name)
        shown = [_shown(each) for each in (one, other)]
        if left.inputs is None or right.inputs is None:
            whose = "both" if left.inputs is None and right.inputs is None else "one"
            yield unknown("inputs", name, shown, f"{NOT_RECORDED} of {whose} of the runs", required=True)
        elif one is None or other is None:
            yield row("inputs", name, *shown, required=True)
        elif one.digest is None or other.digest is None:
            reasons = sorted({each.reason for each in (one, other) if each.reason is not None})
            yield unknown("inputs", name, shown, "; ".join(reasons) or NOT_RECORDED, required=True)
        else:
            yield row("inputs", name, *shown, required=True, reason=_changed_files(one, other))


def _shown(found: Input | None) -> str | None:
    if found is None:
        return None
    return found.digest if found.digest is not None else found.path


def _changed_files(left: Input, right: Input) -> str | None:
    """Which files of a folder differ."""
    if not left.tree or not right.tree:
        return None
    trees = [{file.path: file.digest for file in each.tree} for each in (left, right)]
    names = sorted(
        name for name in {*trees[0], *trees[1]} if trees[0].get(name, "") != trees[1].get(name, "")
    )
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004  what fits in a line
    return f"differs in {', '.join(names[:5])}{more}"


def _variables(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    if left.variables is not None and right.variables is not None:
        for name in sorted({*left.variables, *right.variables}):
            yield row("variables", name, left.variables.get(name), right.variables.get(name))
    elif left.host is not None or right.host is not None:
        told = [None if run.variables is None else " ".join(sorted(run.variables)) for run in (left, right)]
        whose = "both" if told == [None, None] else "one"
        yield unknown("variables", "values", told, f"{NOT_RECORDED} of {whose} of the runs")
    names = [None if run.variables_set is None else " ".join(run.variables_set) for run in (left, right)]
    yield from _optional("variables", "set by proj", names[0], names[1])


def _interpreter(left: RunFacts, right: RunFacts) -> Iterator[Row]:
    yield from _optional("interpreter", "python", left.python, right.python, required=True)
    for name in sorted({*left.libraries, *right.libraries}):
        yield row("interpreter", name, left.libraries.get(name), right.libraries.get(name))


def _host(left: Host | None, right: Host | None) -> Iterator[Row]:
    if left is None or right is None:
        names = [host.hostname if host else None for host in (left, right)]
        yield from _optional("host", "name", names[0], names[1])
        return
    values = [dict(_host_values(host)) for host in (left, right)]
    for item in dict.fromkeys((*values[0], *values[1])):
        if values[0].get(item) is not None or values[1].get(item) is not None:
            yield row("host", item, values[0].get(item), values[1].get(item))


def _host_values(host: Host) -> Iterator[tuple[str, str | None]]:
    yield "name", host.hostname
    yield "platform", " ".join(filter(None, (host.system, host.machine, host.libc)))
    yield "system", host.distribution
    yield "kernel", host.kernel
    yield "processor", host.cpu_model
    yield "processor can", " ".join(host.cpu_flags) or None
    yield "processors", str(host.cpu_count)
    yield "memory", None if host.memory_bytes is None else f"{host.memory_bytes / (1 << 30):.1f} GiB"
    yield "gpu", ", ".join(gpu.name for gpu in host.gpus) or None
    yield "driver", ", ".join(sorted({gpu.driver for gpu in host.gpus})) or None
    yield "cuda", host.cuda
    yield "time zone", host.timezone
