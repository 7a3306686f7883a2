from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.channels import access, mirrors_of, read_settings, resolve_channel
from proj.environments.conda.declared import read_project
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from environment_kit import RequestMaker

CONDARC = """
channel_alias: https://mirror.example.org/
default_channels: [https://mirror.example.org/main]
custom_channels: {team: https://user:pa55word@conda.team.example.org, deep/er: https://deep.example.org}
custom_multichannels: {all: [team, conda-forge]}
mirrored_channels: {conda-forge: [https://near.example.org/t/tk-1234/conda-forge]}
channels: [team]
ssl_verify: false
offline: true
proxy_servers: {https: 'http://u:secret99@proxy:8080'}
"""


def urls(name: str, base: Path = Path("/project")) -> list[str]:
    return [each.url for each in resolve_channel(name, read_settings(), base)]


@pytest.fixture
def condarc() -> None:
    Path(os.environ["CONDARC"]).write_text(CONDARC)


def test_names_without_settings() -> None:
    assert urls("conda-forge") == ["https://conda.anaconda.org/conda-forge"]
    assert urls("defaults") == ["https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"]
    assert urls("conda-forge/label/dev") == ["https://conda.anaconda.org/conda-forge/label/dev"]
    assert urls("./local") == ["file:///project/local"]
    assert urls("file:///srv/channel/") == ["file:///srv/channel"]
    assert urls("https://host/channel/linux-64") == ["https://host/channel"]
    assert urls("https://host/linux-tools") == ["https://host/linux-tools"], "a name, and no platform's"


@pytest.mark.usefixtures("condarc")
def test_names_by_condarc() -> None:
    assert urls("conda-forge") == ["https://mirror.example.org/conda-forge"]
    assert urls("defaults") == ["https://mirror.example.org/main"]
    assert urls("team") == ["https://conda.team.example.org/team"]
    assert urls("team/label/dev") == ["https://conda.team.example.org/team/label/dev"]
    assert urls("all") == ["https://conda.team.example.org/team", "https://mirror.example.org/conda-forge"]
    settings = read_settings()
    assert (settings.offline, settings.verify_tls) == (True, False)
    mirrors = mirrors_of(
        [*resolve_channel("conda-forge", settings, Path()), *resolve_channel("team", settings, Path())],
        settings, Path(),
    )  # fmt: skip
    assert mirrors == {
        "https://mirror.example.org/conda-forge": ("https://near.example.org/t/tk-1234/conda-forge",),
        "https://conda.team.example.org/team": ("https://user:pa55word@conda.team.example.org/team",),
    }


def test_variables_win(monkeypatch: pytest.MonkeyPatch, condarc: None) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", "https://other.example.org")
    monkeypatch.setenv("CONDA_OFFLINE", "false")
    assert urls("conda-forge") == ["https://other.example.org/conda-forge"]
    assert not read_settings().offline


@pytest.mark.parametrize(
    ("url", "clean", "secrets"),
    [
        ("https://h/t/tk-123/c", "https://h/c", {"tk-123"}),
        ("https://user:p%40ss@h/c", "https://h/c", {"user:p%40ss", "user:p@ss", "p%40ss", "p@ss"}),
        ("https://h/c", "https://h/c", set()),
    ],
)
def test_secrets_are_no_part_of_a_channel(url: str, clean: str, secrets: set[str]) -> None:
    found = access(url)
    assert found.url == clean
    assert set(found.secrets) == secrets


def test_a_variable_that_is_not_set() -> None:
    with pytest.raises(EnvironmentFailedError, match="needs the variable NOT_SET_AT_ALL"):
        urls("https://h/t/${NOT_SET_AT_ALL}/c")


def test_channels_of_a_project(tmp_path: Path, request_for: RequestMaker) -> None:
    def channels(head: str) -> tuple[list[str], list[str]]:
        (tmp_path / "conda.yaml").write_text(f"{head}\ndependencies: [numpy, 'special::tool']\n")
        project = read_project(request_for(tmp_path), "linux-64")
        return [each.url for each in project.channels], [each.url for each in project.more_channels]

    special = "https://conda.anaconda.org/special"
    main = ["https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"]
    forge = "https://conda.anaconda.org/conda-forge"
    assert channels("channels: [conda-forge]") == ([forge], [special, *main])
    assert channels("channels: [conda-forge, nodefaults]") == ([forge], [special])
    assert channels("channels: [conda-forge, defaults]") == ([forge, *main], [special])
    assert channels("") == ([special, *main], [])
