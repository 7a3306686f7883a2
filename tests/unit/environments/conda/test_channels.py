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


# --- the user's settings ----------------------------------------------------------------------------------


def test_files_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As conda does: an item of what counts most comes first, an entry of it wins."""
    root, prefix = tmp_path / "root", tmp_path / "prefix"
    (root / "condarc.d").mkdir(parents=True)
    prefix.mkdir()
    monkeypatch.setenv("CONDA_EXE", str(root / "bin" / "conda"))
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    monkeypatch.setenv("CONDA_CHANNELS", "five")
    (root / ".condarc").write_text(
        "channels: [one]\nchannel_alias: https://one.example\n"
        "custom_channels: {team: https://old.example, lab: https://lab.example}\n"
    )
    (root / "condarc.d" / "more.yml").write_text("channels: [two]\n")
    (Path.home() / ".condarc").write_text(
        "channels: [three, one]\ncustom_channels: {team: https://t.example}\n"
    )
    (prefix / ".condarc").write_text("channels: four\noffline:\n")
    Path(os.environ["CONDARC"]).write_text("channel_alias: https://two.example\n")
    settings = read_settings()
    assert settings.channels == ("five", "four", "three", "one", "two")
    assert dict(settings.custom) == {"team": "https://t.example", "lab": "https://lab.example"}
    assert settings.alias == "https://two.example"


def test_no_default_channels_are_none() -> None:
    Path(os.environ["CONDARC"]).write_text("default_channels: []\n")
    assert urls("defaults") == []


def test_anacondas_own_channels() -> None:
    assert urls("pkgs/main") == ["https://repo.anaconda.com/pkgs/main"]
    assert urls("pkgs/pro") == ["https://repo.anaconda.com/pkgs/pro"]
    Path(os.environ["CONDARC"]).write_text("default_channels: [https://mirror.example.org/pkgs/main]\n")
    assert urls("pkgs/main") == ["https://mirror.example.org/pkgs/main"]


@pytest.mark.parametrize(
    "setting",
    [
        "allowlist_channels: [team]",
        "denylist_channels: [defaults, conda-forge]",
        "whitelist_channels: [team]",
    ],
)
def test_channels_that_must_not_be_used(tmp_path: Path, request_for: RequestMaker, setting: str) -> None:
    Path(os.environ["CONDARC"]).write_text(setting)
    file = tmp_path / "conda.yaml"
    file.write_text("channels: [team]\ndependencies: [numpy]\n")
    found = read_project(request_for(tmp_path), "linux-64")
    assert [each.url for each in found.channels] == ["https://conda.anaconda.org/team"]
    assert not found.more_channels, "the ones that conda would add are forbidden"
    for text in ("channels: [team, conda-forge]", "channels: []", "channels: [team, defaults]"):
        file.write_text(f"{text}\ndependencies: [numpy]\n")
        with pytest.raises(EnvironmentFailedError, match="must not be used") as caught:
            read_project(request_for(tmp_path), "linux-64")
        assert "list_channels` of .condarc" in caught.value.message
    file.write_text("channels: [team]\ndependencies: ['conda-forge::numpy']\n")
    with pytest.raises(EnvironmentFailedError, match="must not be used"):
        read_project(request_for(tmp_path), "linux-64")
