"""A stand-in for conda, mamba and micromamba: their command line, and rattler to do the work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONTENT = """#!{python}
# Has the command line of conda, and rattler to do the work: what `proj` asks of it, and is told by it.
import asyncio, json, os, sys, urllib.request
from pathlib import Path
import rattler

arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")
prefix = arguments[arguments.index("--prefix") + 1]
text = Path(arguments[arguments.index("--file") + 1]).read_text()


async def main():
    cache = Path({cache!r})
    if "@EXPLICIT" in text:
        records = []
        for line in text.splitlines()[1:]:
            url = line.partition("#")[0]
            path = Path(url.removeprefix("file://"))
            if not path.is_file():
                path, _ = urllib.request.urlretrieve(url, Path(prefix).with_name(path.name))
            record = await rattler.RepoDataRecord.from_package_archive(path)
            record.url = url
            records.append(record)
    else:
        wanted = json.loads(text)
        assert "nodefaults" not in wanted["channels"], "conda 26 takes it for a channel"
        channels = [rattler.Channel(url) for url in wanted["channels"]]
        records = await rattler.solve(channels, wanted["dependencies"])
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False)


asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""


def write_stand_in(path: Path, folder: Path) -> Path:
    """Write the program; `folder` gets the `log` of its command lines, and its packages."""
    path.write_text(
        _CONTENT.format(python=sys.executable, log=str(folder / "log"), cache=str(folder / "pkgs"))
    )
    path.chmod(0o755)
    return path
