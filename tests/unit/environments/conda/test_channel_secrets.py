"""Secrets in the URLs of locks that projects ship, and of specs: they are used, and seen nowhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from conda_kit import ChannelServer
from environment_kit import installed
from proj import paths
from proj.environments.conda.declared import read_project
from proj.environments.conda.environment import CondaEnvironment
from proj.environments.conda.lock import parse_lock
from proj.environments.conda.messages import Network
from proj.environments.conda.names import by_name
from proj.environments.conda.specs import parse_spec
from proj.environments.conda.transport import refuse_leaks
from proj.environments.conda.urls import bare, bare_text, secret_urls, secrets_in
from proj.environments.condafile import read_conda_file
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from environment_kit import RequestMaker
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()
TOKEN = "tk-5ecret-5ecret"
FILES = ("linux-64/python-3.9.7-h1_0.conda", "noarch/alpha-1.0-py_0.conda")


def as_explicit(url: str, digests: dict[str, str]) -> tuple[str, str]:
    lines = [f"{url}/{name}#sha256:{digest}" for name, digest in digests.items()]
    return "conda-linux-64.lock", "\n".join(["@EXPLICIT", *lines, ""])


def as_conda_lock(url: str, digests: dict[str, str]) -> tuple[str, str]:
    packages = [
        {"manager": "conda", "platform": "linux-64", "url": f"{url}/{name}", "hash": {"sha256": digest}}
        | dict(zip(("name", "version"), name.partition("/")[2].split("-"), strict=False))
        for name, digest in digests.items()
    ]
    return "conda-lock.yml", json.dumps({"version": 1, "package": packages})


def as_pixi(url: str, digests: dict[str, str]) -> tuple[str, str]:
    channels = {"channels": [{"url": f"{url}/"}]}
    listed = {"linux-64": [{"conda": f"{url}/{name}"} for name in digests]}
    packages = [
        {"conda": f"{url}/{name}", "sha256": digest, "subdir": name.partition("/")[0]}
        for name, digest in digests.items()
    ]
    environments = {"default": {**channels, "packages": listed}}
    return "pixi.lock", json.dumps({"version": 6, "environments": environments, "packages": packages})


@pytest.fixture
def guarded(channel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChannelServer]:
    """A channel behind a token."""
    monkeypatch.delenv("UV_OFFLINE")
    server = ChannelServer(channel, token=TOKEN)
    yield server
    server.close()


@pytest.mark.parametrize("written", [as_explicit, as_conda_lock, as_pixi])
@pytest.mark.parametrize("variable", [False, True])
def test_a_lock_with_a_token(
    written: type, variable: bool, guarded: ChannelServer, tmp_path: Path, request_for: RequestMaker,
    channel: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CHANNEL_KEY", TOKEN)
    digests = {name: hashlib.sha256((channel / name).read_bytes()).hexdigest() for name in FILES}
    url = f"http://{guarded.address}/t/{'${CHANNEL_KEY}' if variable else TOKEN}/channel"
    name, text = written(url, digests)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / name).write_text(text)
    if name != "pixi.lock":
        (folder / "environment.yml").write_text("channels: [nodefaults]\ndependencies: [python, alpha]\n")
    prepared = ENVIRONMENT.prepare(request_for(folder))
    assert installed(ENVIRONMENT, prepared) == {"alpha": "1.0", "python": "3.9.7"}
    assert f"{guarded.url}/{FILES[1]}#sha256:" in (prepared.lock or b"").decode()
    told = [note for note in prepared.notes if "token or password" in note]
    warning = f"{name}: the token or password in the URL of {guarded.url} is recorded with the source"
    assert [note.startswith(warning) for note in told] == ([] if variable else [True])
    assert TOKEN not in str(told)
    kept = [path for path in paths.cache().rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ("https://h/a/noarch", False),
        ("http://h:8443/a", True),
        ("https://h:8443/a/b", True),
        ("http://h/b", False),
    ],
)
def test_a_login_goes_to_its_port_alone(other: str, told: bool) -> None:
    network = Network(cache="c", logins={"https://h/a": "ada:5ecret"})
    with pytest.raises(PermissionError, match="would be sent to") if told else contextlib.nullcontext():
        refuse_leaks(["https://h:443/a", other], network)


def test_a_login_is_not_sent_without_encryption(
    guarded: ChannelServer, conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    """The channel of the same path on the same host, that another port or scheme answers for."""
    head = (
        f"channels: ['http://{guarded.address}/channel', "
        f"'https://ada:{TOKEN}@127.0.0.1/channel', nodefaults]\n"
    )
    with pytest.raises(EnvironmentFailedError, match="would be sent to http://127") as caught:
        ENVIRONMENT.prepare(request_for(conda_project("alpha", head=head)))
    assert TOKEN not in caught.value.message
    assert not guarded.asked


@pytest.mark.parametrize(
    ("url", "clean", "secrets"),
    [
        ("https://h/a/b/t/tk-1/c/noarch/x-1-0.conda", "https://h/a/b/c/noarch/x-1-0.conda", {"tk-1"}),
        ("https://h/t/tk-1/t/tk-2/c", "https://h/c", {"tk-1", "tk-2"}),
        ("https://u:p@ss@h/t/tk-1/c", "https://h/c", {"u:p@ss", "p@ss", "tk-1"}),
        ("https://h/t/tk-1", "https://h", {"tk-1"}),
        ("file:///srv/t/channel/noarch", "file:///srv/t/channel/noarch", set()),
        ("https://h/t", "https://h/t", set()),
    ],
)  # fmt: skip
def test_secrets_in_urls(url: str, clean: str, secrets: set[str]) -> None:
    assert bare(url) == clean
    assert set(secrets_in(url)) == secrets
    assert secret_urls(f"- url: '{url}'") == ([url] if secrets else [])


def test_a_text_with_secrets_in_its_urls() -> None:
    assert bare_text("'https://h/t/tk-1::x' and x[channel=https://u:p@[::1]:8/c]") == (
        "'https://h::x' and x[channel=https://[::1]:8/c]"
    )


def test_a_token_below_a_path_is_in_no_lock() -> None:
    text = f"@EXPLICIT\nhttps://h.example/api/repo/t/{TOKEN}/team/linux-64/x-1.0-0.conda\n"
    lock = parse_lock(text, origin="o", platform="linux-64", shipped=True)
    assert lock.packages[0].url == "https://h.example/api/repo/team/linux-64/x-1.0-0.conda"


def test_a_spec_is_told_without_its_secrets(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    channel = f"https://h/t/{TOKEN}/chan"
    folder = conda_project(f"{channel}::pywin32", "python", head="channels: [nodefaults]\n")
    project = read_project(request_for(folder), "linux-64")
    assert "conda.yaml: https://h/chan::pywin32 exists for Windows only and was left out." in project.warnings
    assert TOKEN in project.secrets or not project.more_channels
    spec = parse_spec(f"{channel}::cudatoolkit=11")
    assert spec.channel == channel
    assert by_name((spec,), "linux-64").absent == ("https://h/chan::cudatoolkit=11",)
    with pytest.raises(EnvironmentFailedError) as caught:
        parse_spec(f"{channel}::x 1 2 3")
    assert TOKEN not in caught.value.message
    (folder / "conda.yaml").write_text(f"dependencies:\n- {channel}::alpha # [win]\n")
    assert not [text for text in read_conda_file(folder / "conda.yaml").warnings if TOKEN in text]
