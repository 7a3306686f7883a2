"""What conda environments do when there is no answer, no channel, no network, or a secret in a URL."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conda_kit import DAY_2021, ChannelServer, CondaPackage, make_channel
from environment_kit import installed
from proj import paths
from proj.environments.cache import root
from proj.environments.conda.download import download_packages
from proj.environments.conda.environment import CondaEnvironment
from proj.environments.conda.lock import CondaLock
from proj.environments.conda.messages import Locked
from proj.environments.conda.service import INSTALL_HINT
from proj.environments.conda.worker import failure_of
from proj.environments.inventory import list_environments
from proj.environments.verify import verify
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentDeclaration

if TYPE_CHECKING:
    from environment_kit import RequestMaker
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()


def test_specs_that_collide_are_named(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project("needs-old-alpha", "needs-new-alpha")))
    assert "needs-new-alpha and needs-old-alpha cannot be installed together" in caught.value.message or (
        "needs-old-alpha and needs-new-alpha cannot be installed together" in caught.value.message
    )
    assert any("alpha <2" in line for line in caught.value.details)
    assert any("alpha >=2" in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("needs-old-alpha", "alpha>=2"), "needs-old-alpha 1.0 needs alpha <2, and alpha >=2 is asked for"),
        (
            ("needs-old-python", "python=3.11"),
            "needs-old-python 1.0 needs python <3.11, and python 3.11.* is asked for: they cannot be",
        ),
        (("needs-nobody",), "needs-nobody 1.0 needs nobody >=1, and no channel has it."),
        (("needs-later-alpha",), "needs alpha >=3, and no channel has a version of it that would do."),
    ],
)
def test_the_two_requirements_that_collide(
    conda_project: CondaProjectMaker, request_for: RequestMaker, asked: tuple[str, ...], said: str
) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project(*asked)))
    assert said in caught.value.message
    assert "conda.yaml" in (caught.value.hint or "")


def test_a_missing_package_and_its_nearest_names(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    with pytest.raises(EnvironmentFailedError, match="No channel has alphaa, quite-another") as caught:
        ENVIRONMENT.prepare(request_for(conda_project("alphaa", "quite-another", "python")))
    assert "alphaa: did you mean alpha?" in caught.value.details
    assert "channels:" in (caught.value.hint or "")


def test_packages_that_are_too_young(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"No channel has python, alpha that early\.") as caught:
        ENVIRONMENT.prepare(request_for(conda_project("python", "alpha>=2"), as_of_s=DAY_2021 - 86400))
    assert caught.value.details == (
        "python: the earliest is of 2021-03-04", "alpha: the earliest is of 2021-03-04",
    )  # fmt: skip
    assert "as of 2021-03-04" in (caught.value.hint or "")
    assert "--as-of" in (caught.value.hint or "")
    with pytest.raises(EnvironmentFailedError, match=r"No channel has alphaa\.") as caught:
        ENVIRONMENT.prepare(request_for(conda_project("python", "alphaa"), as_of_s=DAY_2021 + 86400))
    assert "alphaa: did you mean alpha?" in caught.value.details


def test_a_page_in_place_of_a_channel(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page"
    for subdir in ("noarch", "linux-64"):
        (page / subdir).mkdir(parents=True)
        (page / subdir / "repodata.json").write_text("<!DOCTYPE html><html>Sign in</html>")
    head = f"channels: ['{channel.as_uri()}', '{page.as_uri()}', nodefaults]\n"
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project("alpha", head=head)))
    assert f"{page.as_uri()} is no channel: its linux-64/repodata.json" in caught.value.message
    assert "sign in" in (caught.value.hint or "")


def test_a_version_in_brackets_that_is_none(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    with pytest.raises(EnvironmentFailedError, match=r'alpha\[version=">=1 <2"\] is no package that'):
        ENVIRONMENT.prepare(request_for(conda_project("python", "alpha[version='>=1 <2']")))


@pytest.mark.parametrize(("text", "reason"), [("version: 99\npackages: []\n", "99"), ("", "`version`")])
def test_a_lock_of_pixi_that_cannot_be_read(
    tmp_path: Path, request_for: RequestMaker, text: str, reason: str
) -> None:
    (tmp_path / "pixi.lock").write_text(text)
    with pytest.raises(
        EnvironmentFailedError, match=r"Cannot use pixi\.lock\. It is no lock that can"
    ) as caught:
        ENVIRONMENT.prepare(request_for(tmp_path))
    assert reason in caught.value.message
    assert "Error" not in caught.value.message
    assert "Lock anew" in (caught.value.hint or "")


def test_packages_are_not_downloaded_without_rattler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proj.environments.conda.service.is_installed", lambda: False)
    lock = CondaLock(platform="linux-64", packages=(Locked(url="https://h/c/noarch/x-1-0.conda"),))
    with pytest.raises(EnvironmentFailedError, match="rattler is not installed") as caught:
        download_packages(lock, tmp_path, what="the packages of run 0123", hint="Without them.")
    assert INSTALL_HINT in (caught.value.hint or "")


def test_a_version_that_is_not_there(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project("alpha=7", "python=3.9")))
    assert "alpha" in caught.value.message
    assert "Of alpha there is 1.0, 2.0" in (caught.value.hint or "")


def test_a_package_with_too_little_room_for_paths(
    tmp_path: Path,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before 2017, packages were built in short folders."""
    monkeypatch.setattr("conda_kit.PLACEHOLDER", "/opt/short")
    tool = CondaPackage(name="old-tool", files={"bin/old-tool": b"\x7fELF\0/opt/short/share\0"})
    channel = make_channel(tmp_path / "channel", [tool])
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(
            request_for(conda_project("old-tool", head=f"channels: [{channel.as_uri()}, nodefaults]\n"))
        )
    assert "old-tool-1.0-0.conda has room for shorter paths" in caught.value.message
    assert "PROJ_CACHE" in (caught.value.hint or "")


def test_no_channel_at_all(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    Path(os.environ["CONDARC"]).write_text("default_channels: []\n")
    with pytest.raises(EnvironmentFailedError, match="No channel has alpha") as caught:
        ENVIRONMENT.prepare(request_for(conda_project("alpha", head="channels: [defaults]\n")))
    assert "`channels:`" in (caught.value.hint or "")


def test_a_spec_that_the_solver_cannot_read(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project("python", "alpha[version='>=1<2']")))
    assert 'alpha[version=">=1<2"] is no package that can be looked for' in caught.value.message
    assert ">=1.19,<2" in (caught.value.hint or "")


def test_virtual_packages(
    conda_project: CondaProjectMaker, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = conda_project("gpu-tool")
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "")
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(folder))
    assert (
        "gpu-tool 1.0 cannot be installed: it needs __cuda >=11, which is not there" in caught.value.message
    )
    assert "CONDA_OVERRIDE_CUDA=12.4" in (caught.value.hint or "")
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "11.8")
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder))) == {"gpu-tool": "1.0"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/channel", "file:///nowhere/at/all"])
def test_a_channel_that_cannot_be_read(
    conda_project: CondaProjectMaker, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("alpha", head=f"channels: ['{url}', nodefaults]\n")
    with pytest.raises(EnvironmentFailedError, match="A channel cannot be read") as caught:
        ENVIRONMENT.prepare(request_for(folder))
    assert "--env-manager uv" in (caught.value.hint or "")
    assert ("Check the network" if url.startswith("http") else "There is no channel") in (
        caught.value.hint or ""
    )
    assert not [found for found in paths.cache().glob("environments/*/*") if found.is_dir()]


@pytest.mark.parametrize(
    ("kind", "hint"), [("refused", "asks who you are"), ("absent", "There is no channel http://127.0.0.1:")]
)
def test_a_channel_that_answers_with_an_error(
    served: ChannelServer,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    hint: str,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    url = served.url if kind == "refused" else f"{served.url}-of-old"
    served.password = "ada:secret" if kind == "refused" else None
    folder = conda_project("alpha", head=f"channels: ['{url}', nodefaults]\n")
    with pytest.raises(EnvironmentFailedError, match="A channel cannot be read") as caught:
        ENVIRONMENT.prepare(request_for(folder))
    assert hint in (caught.value.hint or "")
    assert "--env-manager uv" in (caught.value.hint or "")


def test_a_package_with_other_bytes(
    served: ChannelServer,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("needs-old-alpha", "python=3.9", head=f"channels: ['{served.url}', nodefaults]\n")
    served.corrupt.add("alpha-1.0-py_0.conda")
    with pytest.raises(EnvironmentFailedError, match="not the one that is locked") as caught:
        ENVIRONMENT.prepare(request_for(folder))
    assert "--upgrade" in (caught.value.hint or "")
    assert not [item for entry in root().iterdir() for item in entry.iterdir() if item.is_dir()]
    served.corrupt.clear()
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder)))["alpha"] == "1.0"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope-1-0.conda", "has a locked package no more"),
        ("alpha-1.0-py_0.conda", "another file under that name"),
    ],
)
def test_a_list_of_packages_that_its_channel_has_not(
    tmp_path: Path, channel: Path, served: ChannelServer, request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch, name: str, said: str,
) -> None:  # fmt: skip
    """It is the declaration itself: nothing solves it anew, and PyPI's names are not in it."""
    monkeypatch.delenv("UV_OFFLINE")
    for url, host in ((served.url, "127.0.0.1"), (channel.as_uri(), channel.as_uri())):
        (tmp_path / "env.lock").write_text(f"@EXPLICIT\n{url}/noarch/{name}#{'0' * 64}\n")
        declared = EnvironmentDeclaration(kind="conda_env", file="env.lock")
        with pytest.raises(EnvironmentFailedError) as caught:
            ENVIRONMENT.prepare(request_for(tmp_path, declaration=declared))
        hint = caught.value.hint or ""
        assert said in hint
        assert hint.endswith("write env.lock anew.")
        assert said.startswith("another") or f"({host})" in hint
        assert name in "\n".join(caught.value.details)


def test_offline(
    served: ChannelServer,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("needs-old-alpha", "python=3.9", head=f"channels: ['{served.url}', nodefaults]\n")
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(folder, offline=True))
    assert "without --offline" in (caught.value.hint or "")
    assert not served.asked
    first = ENVIRONMENT.prepare(request_for(folder))
    shutil.rmtree(root())
    served.asked.clear()
    again = ENVIRONMENT.prepare(request_for(folder, offline=True))
    assert not again.reused
    assert again.lock == first.lock
    more = conda_project("needs-old-alpha", "python=3.9.7", head=f"channels: ['{served.url}', nodefaults]\n")
    with pytest.raises(EnvironmentFailedError, match="Not in the cache") as caught:
        ENVIRONMENT.prepare(request_for(more, offline=True))
    assert not served.asked


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_offline_with_a_damaged_package_in_the_cache(
    served: ChannelServer,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    """Whatever it takes, nobody is asked."""
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("alpha<2", "python=3.9", head=f"channels: ['{served.url}', nodefaults]\n")
    ENVIRONMENT.prepare(request_for(folder))
    shutil.rmtree(root())
    served.asked.clear()
    module = paths.cache() / "conda" / "packages" / "alpha-1.0-py_0" / "site-packages" / "alpha.py"
    if damage == "gone":
        module.unlink()
        with pytest.raises(EnvironmentFailedError, match=r"Not in the cache: alpha-1\.0-py_0\.conda"):
            ENVIRONMENT.prepare(request_for(folder, offline=True))
    else:
        module.write_text("version = '0.0'\n")
        ENVIRONMENT.prepare(request_for(folder, offline=True))
        assert any("alpha.py was changed" in problem for problem in verify(list_environments()[0]))
    assert not served.asked
    shutil.rmtree(root())
    assert installed(ENVIRONMENT, ENVIRONMENT.prepare(request_for(folder)))["alpha"] == "1.0"
    assert module.read_text() == "version = '1.0'\n"


@pytest.mark.parametrize("name", ["r-digest", "perl-digest-md5", "sha256sum"])
def test_a_package_that_is_named_after_digests(name: str) -> None:
    said = f"failed to fetch {name}-1.0-0.conda\nCaused by: {{}} https://h.example/noarch/{name}-1.0-0.conda"
    assert failure_of(OSError(said.format("error sending request for url"))).cause == "unreachable"
    assert failure_of(OSError(said.format("HTTP status server error (503) for"))).cause == "unreachable"
    assert failure_of(OSError(f"failed to link {name}-1.0-0.conda\nCaused by: Permission denied")).cause == (
        "other"
    )
    assert failure_of(OSError(said.format("hash mismatch when extracting"))).cause == "hash"


def test_a_channel_without_hashes_is_asked_for_nothing_offline(
    served: ChannelServer, conda_project: CondaProjectMaker, request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, channel: Path,
) -> None:  # fmt: skip
    """A solution needs the hash of what is solved for, which has to be downloaded for it."""
    monkeypatch.delenv("UV_OFFLINE")
    served.folder = Path(shutil.copytree(channel, tmp_path / "unhashed"))
    for file in served.folder.glob("*/repodata.json"):
        file.write_text(re.sub(r'"(?:sha256|md5)":"[0-9a-f]+",', "", file.read_text()))
    head = f"channels: ['{served.url}', nodefaults]\n"
    ENVIRONMENT.prepare(request_for(conda_project("undated", head=head)))  # it has the repodata now
    before = len(served.asked)
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(conda_project("tool", head=head), offline=True))
    assert "Run once without --offline" in (caught.value.hint or "")
    assert served.asked[before:] == []


# --- secrets ----------------------------------------------------------------------------------------------


def everything_written() -> bytes:
    content = []
    for base in (paths.cache(), paths.home()):
        content += [path.read_bytes() for path in base.rglob("*") if path.is_file()]
    return b"\n".join(content)


@pytest.mark.parametrize("kind", ["token", "password", "mirror", "auth file"])
def test_secrets_of_channels_are_nowhere(
    kind: str,
    channel: Path,
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    heard: list[str],
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("CHANNEL_KEY", "tk-5ecret-5ecret")
    token = None if kind in ("password", "auth file") else "tk-5ecret-5ecret"
    server = ChannelServer(channel, token=token, password=None if token else "ada:tk-5ecret-5ecret")
    clean = server.url
    named = {
        "token": f"http://{server.address}/t/${{CHANNEL_KEY}}/channel",
        "password": f"http://ada:${{CHANNEL_KEY}}@{server.address}/channel",
    }.get(kind, clean)
    if kind == "mirror":
        secret = f"http://{server.address}/t/tk-5ecret-5ecret/channel"
        Path(os.environ["CONDARC"]).write_text(f"mirrored_channels: {{'{clean}': ['{secret}']}}\n")
    if kind == "auth file":
        login = {"127.0.0.1": {"BasicHTTP": {"username": "ada", "password": "tk-5ecret-5ecret"}}}
        Path(os.environ["RATTLER_AUTH_FILE"]).write_text(json.dumps(login))
    try:
        folder = conda_project("needs-old-alpha", "python=3.9", head=f"channels: ['{named}', nodefaults]\n")
        prepared = ENVIRONMENT.prepare(request_for(folder))
        assert installed(ENVIRONMENT, prepared)["alpha"] == "1.0"
        assert f"{clean}/noarch/alpha-1.0-py_0.conda#sha256:".encode() in (prepared.lock or b"")
        shutil.rmtree(root())
        again = ENVIRONMENT.prepare(request_for(folder, lock=prepared.lock))
        assert again.lock_digest == prepared.lock_digest
    finally:
        server.close()
    conda_project("alpha=2.0", "python=3.9", head=f"channels: ['{named}', nodefaults]\n")
    shutil.rmtree(paths.cache() / "conda" / "repodata")
    with pytest.raises(EnvironmentFailedError) as caught:  # nobody answers any more
        ENVIRONMENT.prepare(request_for(folder))
    told = "\n".join((*heard, caught.value.message, caught.value.hint or "", *caught.value.details))
    assert "5ecret" not in told
    assert b"5ecret" not in everything_written()
