"""How a lock comes about: dates, indexes with and without them, credentials, locks that a project ships."""

from __future__ import annotations

import calendar
import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from environment_kit import write_wheel
from index_server import IndexServer
from proj import events, paths
from proj.environments.inventory import list_environments
from proj.environments.python import PythonEnvironment
from proj.environments.shipping import write_lock
from proj.environments.verify import verify
from proj.errors import EnvironmentFailedError, UsageError
from proj.model import LockMode, PreparedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environment_kit import RequestMaker, WheelMaker

ENVIRONMENT = PythonEnvironment()
DATES = {"alpha-1.0-py3-none-any.whl": "2020-05-01", "alpha-2.0-py3-none-any.whl": "2023-05-01"}


class Serve(Protocol):
    def __call__(
        self,
        folder: Path,
        dates: dict[str, str] | None = None,
        password: str | None = None,
        prefix: str = "",
    ) -> IndexServer: ...


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Starts indexes; uv may then use the network, which is loopback alone, with an empty cache."""
    servers: list[IndexServer] = []
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))

    def start(
        folder: Path, dates: dict[str, str] | None = None, password: str | None = None, prefix: str = ""
    ) -> IndexServer:
        servers.append(IndexServer(folder, dates, password, prefix))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def seconds(day: str) -> int:
    return calendar.timegm(time.strptime(day, "%Y-%m-%d")) + 43200


def versions(prepared: PreparedEnvironment) -> dict[str, str]:
    found = {package.name: package.version for package in ENVIRONMENT.facts(prepared).packages}
    return {name: version for name, version in found.items() if name in ("alpha", "beta", "private")}


def require(project: Path, *lines: str) -> None:
    (project / "requirements.txt").write_text("\n".join(lines) + "\n")


def python_2021(
    request_for: RequestMaker, project: Path, current: str, **changes: object
) -> PreparedEnvironment:
    """Prepare as of a day before alpha 2.0; the Python is given, since the date would choose an older one."""
    return ENVIRONMENT.prepare(request_for(project, as_of_s=seconds("2021-03-04"), python=current, **changes))


def test_packages_are_those_of_the_date(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve, current: str, heard: list[str]
) -> None:
    index = serve(links, DATES)
    require(project, f"--index-url {index.url}", "alpha")
    then = python_2021(request_for, project, current)
    assert versions(then) == {"alpha": "1.0", "beta": "1.0"}
    assert then.as_of_s == seconds("2021-03-04")
    assert "step: Resolving 1 requirement of requirements.txt as of 2021-03-04" in heard
    now = ENVIRONMENT.prepare(request_for(project, python=current))
    assert versions(now) == {"alpha": "2.0", "beta": "1.0"}
    assert now.as_of_s is None


def test_a_version_younger_than_the_date_is_told_with_its_date(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve, current: str
) -> None:
    require(project, f"--index-url {serve(links, DATES).url}", "alpha==2.0")
    with pytest.raises(EnvironmentFailedError) as caught:
        python_2021(request_for, project, current)
    assert "--as-of 2023-05-01" in (caught.value.hint or "")


def test_an_index_without_dates_means_now(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve, current: str, heard: list[str]
) -> None:
    require(project, f"--index-url {serve(links).url}", "alpha", "beta")
    prepared = python_2021(request_for, project, current)
    assert versions(prepared)["alpha"] == "2.0"
    assert any("upload date" in note for note in prepared.notes)
    assert any(line.startswith("warning: ") and "upload date" in line for line in heard)


def test_a_second_index_without_dates_keeps_the_date_of_the_first(
    project: Path, links: Path, tmp_path: Path, request_for: RequestMaker, serve: Serve, current: str
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    write_wheel(private, "private", "1.0", "alpha")
    write_wheel(private, "alpha", "3.0")
    dated, undated = serve(links, DATES), serve(private)
    require(project, f"--index-url {dated.url}", f"--extra-index-url {undated.url}", "private")
    prepared = python_2021(request_for, project, current)
    assert versions(prepared) == {"private": "1.0", "alpha": "1.0", "beta": "1.0"}
    assert any("No upload date is known of private" in note for note in prepared.notes)


def test_the_users_find_links_have_no_say_about_the_past_if_the_index_has_an_answer(
    project: Path, links: Path, tmp_path: Path, request_for: RequestMaker, serve: Serve, current: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    local = tmp_path / "local"
    local.mkdir()
    write_wheel(local, "alpha", "9.0")
    write_wheel(local, "private", "1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(local))
    require(project, f"--index-url {serve(links, DATES).url}", "alpha")
    assert versions(python_2021(request_for, project, current))["alpha"] == "1.0"
    assert versions(ENVIRONMENT.prepare(request_for(project, python=current)))["alpha"] == "9.0"
    with (project / "requirements.txt").open("a") as file:
        file.write("private\n")
    assert versions(python_2021(request_for, project, current))["private"] == "1.0"


def test_pips_configuration_names_the_index(
    project: Path,
    links: Path,
    tmp_path: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = serve(links, DATES, "user:canary-9")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = http://user:canary-9@{index.address}/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    require(project, "alpha")
    prepared = ENVIRONMENT.prepare(request_for(project))
    assert versions(prepared)["alpha"] == "2.0"
    assert prepared.lock is not None
    assert index.address.encode() in prepared.lock
    assert_nowhere(b"canary-9", prepared)


@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_credentials_of_the_projects_index_come_from_a_variable_and_stay_out_of_the_lock(
    project: Path,
    links: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    manager: str,
) -> None:
    index = serve(links, DATES, "user:canary-7")
    monkeypatch.setenv("INDEX_PASSWORD", "canary-7")
    require(project, f"--index-url http://user:${{INDEX_PASSWORD}}@{index.address}/simple", "alpha")
    # pip is in the lock, and the one of the links is no real one.
    (project / "python_env.yaml").write_text(
        "build_dependencies: [wheel]\ndependencies: [-r requirements.txt]\n"
    )
    prepared = ENVIRONMENT.prepare(request_for(project, manager=manager))
    assert versions(prepared)["alpha"] == "2.0"
    assert_nowhere(b"canary-7", prepared)


@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_a_token_in_the_path_of_an_index_stays_a_variable(
    project: Path,
    links: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    heard: list[str],
    manager: str,
) -> None:
    index = serve(links, DATES, prefix="/canary-3%2Fx")
    monkeypatch.setenv("IDX_TOKEN", "canary-3%2Fx")
    url = f"http://{index.address}/${{IDX_TOKEN}}"
    (project / "python_env.yaml").write_text(
        "build_dependencies: [wheel]\ndependencies:\n"
        f'  - "--index-url {url}/simple"\n  - alpha\n  - "beta @ {url}/files/beta-1.0-py3-none-any.whl"\n'
    )
    prepared = ENVIRONMENT.prepare(request_for(project, manager=manager))
    assert versions(prepared) == {"alpha": "2.0", "beta": "1.0"}
    assert prepared.lock is not None
    assert b"/${IDX_TOKEN}/files/alpha-2.0" in prepared.lock
    assert_nowhere(b"canary-3", prepared)
    assert verify(list_environments()[0]) == ()
    (project / "pylock.toml").write_bytes(prepared.lock)
    monkeypatch.setenv("PROJ_CACHE", f"{paths.cache()}-2")
    assert not ENVIRONMENT.prepare(request_for(project, manager=manager, mode=LockMode.FROZEN)).reused
    assert "canary-3" not in "\n".join(heard)


@pytest.mark.parametrize("line", ["alpha==7", "alpha @ {}/files/none.whl"])
def test_a_token_in_a_path_is_not_told_when_resolving_fails(
    project: Path,
    links: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    index = serve(links, DATES, prefix="/canary-4")
    monkeypatch.setenv("IDX", "canary-4")
    url = f"http://{index.address}/${{IDX}}"
    require(project, f"--index-url {url}/simple", line.format(url))
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(project))
    said = "\n".join((caught.value.message, caught.value.hint or "", *caught.value.details))
    assert "canary-4" not in said


def test_credentials_of_a_direct_url(
    project: Path,
    links: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    current: str,
) -> None:
    index = serve(links, DATES, "user:canary-5")
    monkeypatch.setenv("FILES_PASSWORD", "canary-5")
    url = f"http://user:${{FILES_PASSWORD}}@{index.address}/files/beta-1.0-py3-none-any.whl"
    (project / "s.py").write_text(f'# /// script\n# dependencies = ["beta @ {url}"]\n# ///\n')
    prepared = ENVIRONMENT.prepare(request_for(project, script="s.py", python=current))
    assert versions(prepared) == {"beta": "1.0"}
    assert_nowhere(b"canary-5", prepared)


@pytest.mark.parametrize("password", ["canary-6", "${FILES_PASSWORD}"])
def test_a_lock_that_the_project_ships_with_a_password(
    project: Path,
    links: Path,
    request_for: RequestMaker,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
) -> None:
    """It is used, and is in nothing that is kept of the lock; a warning says that it is in the source."""
    index = serve(links, DATES, "user:canary-6")
    monkeypatch.setenv("FILES_PASSWORD", "canary-6")
    name = "beta-1.0-py3-none-any.whl"
    digest = hashlib.sha256((links / name).read_bytes()).hexdigest()
    url = f"http://user:{password}@{index.address}/files/{name}"
    (project / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "hand"\n[[packages]]\nname = "beta"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )
    require(project, "beta")
    prepared = ENVIRONMENT.prepare(request_for(project, mode=LockMode.FROZEN))
    assert versions(prepared) == {"beta": "1.0"}
    assert_nowhere(b"canary-6", prepared)
    told = [note for note in prepared.notes if "token or password" in note]
    assert len(told) == (password == "canary-6")
    assert "canary-6" not in str(told)


def assert_nowhere(secret: bytes, prepared: PreparedEnvironment) -> None:
    assert prepared.lock is not None
    assert secret not in prepared.lock
    for path in paths.cache().rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def test_refused_credentials_are_told_without_them(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve
) -> None:
    index = serve(links, DATES, "user:right")
    require(project, f"--index-url http://user:canary-8@{index.address}/simple", "alpha")
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(project))
    said = "\n".join((caught.value.message, caught.value.hint or "", *caught.value.details))
    assert "canary-8" not in said
    assert "credentials" in (caught.value.hint or "")


def test_an_unreachable_index(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = serve(links)
    require(project, f"--index-url {index.url}", "alpha")
    index.close()
    monkeypatch.setattr(index, "close", lambda: None)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentFailedError, match="Cannot resolve") as caught:
        ENVIRONMENT.prepare(request_for(project))
    assert "cannot be reached" in (caught.value.hint or "")
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(project, offline=True))
    assert "without --offline" in (caught.value.hint or "")


def test_offline_reuses_what_is_there(
    project: Path, links: Path, request_for: RequestMaker, serve: Serve
) -> None:
    index = serve(links, DATES)
    require(project, f"--index-url {index.url}", "alpha")
    first = ENVIRONMENT.prepare(request_for(project))
    index.asked.clear()
    assert ENVIRONMENT.prepare(request_for(project, offline=True)).directory == first.directory
    assert index.asked == []


def test_a_lock_is_reused_until_upgrade(
    project: Path, request_for: RequestMaker, make_wheel: WheelMaker
) -> None:
    require(project, "alpha")
    first = ENVIRONMENT.prepare(request_for(project))
    make_wheel("alpha", "3.0", "beta")
    assert ENVIRONMENT.prepare(request_for(project)).lock == first.lock
    upgraded = ENVIRONMENT.prepare(request_for(project, mode=LockMode.UPGRADE))
    assert versions(upgraded)["alpha"] == "3.0"
    assert ENVIRONMENT.prepare(request_for(project)).lock == upgraded.lock


def test_constraints_hold(project: Path, request_for: RequestMaker) -> None:
    (project / "limits.txt").write_text("alpha<2\n")
    require(project, "-c limits.txt", "alpha")
    assert versions(ENVIRONMENT.prepare(request_for(project)))["alpha"] == "1.0"
    (project / "limits.txt").write_text("alpha<3\n")
    assert versions(ENVIRONMENT.prepare(request_for(project)))["alpha"] == "2.0"


def test_a_shipped_lock_is_used_as_it_is(
    project: Path, request_for: RequestMaker, make_wheel: WheelMaker
) -> None:
    require(project, "alpha")
    with pytest.raises(EnvironmentFailedError, match="ships no lock"):
        ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
    written = write_lock(request_for(project))
    assert written.changed
    assert not write_lock(request_for(project)).changed
    make_wheel("alpha", "3.0", "beta")
    for mode in (LockMode.REUSE, LockMode.LOCKED, LockMode.FROZEN):
        prepared = ENVIRONMENT.prepare(request_for(project, mode=mode, as_of_s=1))
        assert versions(prepared)["alpha"] == "2.0"
        assert prepared.lock_digest == written.digest
    upgraded = ENVIRONMENT.prepare(request_for(project, mode=LockMode.UPGRADE))
    assert versions(upgraded)["alpha"] == "3.0"
    assert "alpha-3.0" not in (project / "pylock.toml").read_text(), (
        "only `proj env lock` writes into the project"
    )


def test_a_shipped_lock_that_no_longer_fits(project: Path, request_for: RequestMaker) -> None:
    require(project, "alpha<2")
    write_lock(request_for(project))
    require(project, "alpha")
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        prepared = ENVIRONMENT.prepare(request_for(project))
    assert versions(prepared)["alpha"] == "1.0"
    assert any("changed" in note for note in prepared.notes)
    assert any("`proj env lock` makes it anew" in message for message in told)
    assert versions(ENVIRONMENT.prepare(request_for(project, mode=LockMode.FROZEN)))["alpha"] == "1.0"
    with pytest.raises(EnvironmentFailedError, match="--locked"):
        ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))


def foreign_lock(project: Path, request_for: RequestMaker, *requirements: str) -> None:
    """A pylock.toml as another tool would write it."""
    require(project, *requirements)
    write_lock(request_for(project))
    text = (project / "pylock.toml").read_text()
    (project / "pylock.toml").write_text(
        "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    )


@pytest.mark.parametrize(
    ("locked", "required", "named"),
    [
        (("beta",), ("alpha==1.0",), "no package for alpha==1.0"),
        (("alpha",), ("alpha<2",), "do not meet alpha<2"),
        (("alpha",), ("alpha", "wheel<0.40; python_version > '3'"), "wheel<0.40"),
    ],
)
def test_a_lock_of_another_tool_must_fit_if_that_is_asked_for(
    project: Path,
    request_for: RequestMaker,
    locked: tuple[str, ...],
    required: tuple[str, ...],
    named: str,
) -> None:
    foreign_lock(project, request_for, *locked)
    require(project, *required)
    with pytest.raises(EnvironmentFailedError, match="--locked") as caught:
        ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
    assert named in caught.value.message
    assert "--frozen" in (caught.value.hint or "")
    assert versions(ENVIRONMENT.prepare(request_for(project, mode=LockMode.FROZEN)))


def test_a_lock_without_what_its_packages_need_does_not_fit(project: Path, request_for: RequestMaker) -> None:
    foreign_lock(project, request_for, "alpha")
    head, *blocks = (project / "pylock.toml").read_text().split("[[packages]]")
    kept = [block for block in blocks if 'name = "beta"' not in block]
    (project / "pylock.toml").write_text("[[packages]]".join([head, *kept]))
    with pytest.raises(EnvironmentFailedError, match="no package for beta"):
        ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))


def test_a_lock_of_another_tool_that_fits_is_checked_once(
    project: Path, request_for: RequestMaker, make_wheel: WheelMaker, heard: list[str]
) -> None:
    foreign_lock(project, request_for, "alpha")
    make_wheel("alpha", "3.0", "beta")
    require(project, "alpha>1", "gamma; python_version < '3'")
    for _ in range(2):
        prepared = ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
        assert versions(prepared)["alpha"] == "2.0"
    assert heard.count("step: Checking that the lock fits requirements.txt") == 1


def test_there_must_be_something_to_lock(project: Path, request_for: RequestMaker) -> None:
    with pytest.raises(UsageError, match="no requirements"):
        write_lock(request_for(project))


def test_uv_lock_is_used(project: Path, request_for: RequestMaker, links: Path) -> None:
    from proj.process import run

    (project / "pyproject.toml").write_text(
        f'[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["alpha<2"]\n'
        f'[tool.uv]\nfind-links = ["{links}"]\nno-index = true\n'
    )
    uv = str(Path(sys.executable).parent / "uv")
    run([uv, "lock", "--directory", str(project)], env={"VIRTUAL_ENV": None})
    prepared = ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
    assert versions(prepared) == {"alpha": "1.0", "beta": "1.0"}
    text = (project / "pyproject.toml").read_text().replace("alpha<2", "alpha")
    (project / "pyproject.toml").write_text(text)
    assert versions(ENVIRONMENT.prepare(request_for(project)))["alpha"] == "1.0"
    with pytest.raises(EnvironmentFailedError, match=r"uv\.lock"):
        ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
    with pytest.raises(UsageError, match=r"uv\.lock"):
        write_lock(request_for(project))
