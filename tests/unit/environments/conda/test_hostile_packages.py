"""What packages do that try to read or write outside of their environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from conda_kit import PLACEHOLDER, CondaPackage, Link, make_channel, module_package
from environment_kit import make_request
from proj import paths
from proj.environments.conda.contents import Places, UnsafePackageError
from proj.environments.conda.declared import read_project
from proj.environments.conda.environment import CondaEnvironment
from proj.environments.conda.imaged import locked_for
from proj.environments.conda.layer import conda_layer
from proj.environments.conda.target import target_for
from proj.errors import EnvironmentFailedError
from unit.environments.conda.conftest import python

if TYPE_CHECKING:
    from proj.environments.conda.target import Target
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()
SECRET = f"TOP SECRET {PLACEHOLDER} end\n"


class Installer(Protocol):
    def __call__(self, *packages: CondaPackage) -> Path: ...


@pytest.fixture
def install(tmp_path: Path, conda_project: CondaProjectMaker) -> Installer:
    """Makes an environment of packages that are made for it."""

    def make(*packages: CondaPackage) -> Path:
        channel = make_channel(tmp_path / "hostile", packages)
        head = f"channels: ['{channel.as_uri()}', nodefaults]\n"
        folder = conda_project(*(package.name for package in packages), head=head)
        prefix = ENVIRONMENT.prepare(make_request(folder)).directory
        assert prefix is not None
        return prefix

    return make


def refused(install: Installer, *packages: CondaPackage) -> str:
    with pytest.raises(EnvironmentFailedError, match="is not safe to install") as caught:
        install(*packages)
    assert "Do not use this package" in (caught.value.hint or "")
    assert not [found for found in paths.cache().glob("environments/*/*") if found.is_dir()]
    return caught.value.message


def disguised(secret: Path) -> CondaPackage:
    """A link out of the package, which its list of files has as a file to be adapted to the prefix."""
    entry = {"_path": "share/leak", "path_type": "hardlink", "prefix_placeholder": PLACEHOLDER}
    return CondaPackage(
        name="leak", files={"share/leak": Link(str(secret))}, listed=[{**entry, "file_mode": "text"}]
    )


def test_a_file_of_this_machine_does_not_get_into_an_environment(tmp_path: Path, install: Installer) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text(SECRET)
    message = refused(install, disguised(secret))
    assert "leak-1.0-0.conda is not safe to install: share/leak is a file of this machine" in message


def test_a_file_of_this_machine_does_not_get_into_a_layer(
    tmp_path: Path, conda_project: CondaProjectMaker
) -> None:
    target: Target = target_for(
        "linux/amd64", wheels="x86_64-manylinux_2_28", libc="glibc", glibc="2.36", name="x"
    )
    secret = tmp_path / "id_rsa"
    secret.write_text(SECRET)
    channel = make_channel(tmp_path / "hostile", [disguised(secret)])
    head = f"channels: ['{channel.as_uri()}', nodefaults]\n"
    request = make_request(conda_project("leak", head=head))
    project = read_project(request, target.platform)
    lock = locked_for(project, target, request)
    with pytest.raises(EnvironmentFailedError, match="share/leak is a file of this machine"):
        conda_layer(lock, project, request, target)
    assert not [
        path for path in paths.cache().rglob("*")
        if path.is_file() and not path.is_symlink() and b"TOP SECRET" in path.read_bytes()
    ]  # fmt: skip


def test_a_file_behind_a_linked_folder_is_not_taken(tmp_path: Path, install: Installer) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text(SECRET)
    package = CondaPackage(
        name="leak",
        files={"share/there": Link(str(tmp_path / "private"))},
        listed=[{"_path": "share/there/key", "path_type": "hardlink"}],
    )
    assert "share/there/key is a file of this machine" in refused(install, package)


@pytest.mark.parametrize(
    "path",
    ["../../packages/leak-1.0-0/share/leak", "share/../../leak", "/tmp/leak", "share//leak"],
)
def test_a_path_out_of_the_environment(install: Installer, path: str) -> None:
    """The second package's file is that of the first, as seen from the folder that it is unpacked in."""
    packages = [
        CondaPackage(name="leak", files={"share/leak": "payload"}),
        CondaPackage(name="zesc", depends=["leak"], listed=[{"_path": path, "path_type": "hardlink"}]),
    ]
    assert f"its list of files has {path!r}" in refused(install, *packages)
    assert not list((paths.cache() / "environments").rglob("leak"))


def test_a_link_that_leads_out_and_a_file_behind_it(tmp_path: Path, install: Installer) -> None:
    """Neither package alone does any harm; either may be linked first."""
    outside = tmp_path / "outside"
    outside.mkdir()
    packages = [
        CondaPackage(name="aaa", files={"share/there": Link(str(outside))}),
        CondaPackage(name="bbb", files={"share/there/authorized_keys": "mine"}, depends=["aaa"]),
    ]
    assert re.search("leads out|outside of", refused(install, *packages))
    assert not list(outside.iterdir())


@pytest.mark.parametrize("order", [("first", "second", "third"), ("third", "second", "first")])
def test_links_through_links_that_lead_out(order: tuple[str, ...]) -> None:
    """Each link stays inside by its words; together they do not."""
    links = {"first": {"a/b/s": "../.."}, "second": {"a/b/s/t": "../q"}}
    files = {"third": ["t/file"]}
    places = Places()

    def link_all() -> None:
        for name in order:
            places.add_links(links.get(name, {}))
            places.add(files.get(name, []))

    with pytest.raises(UnsafePackageError):
        link_all()


def test_conda_meta_is_no_link(tmp_path: Path, install: Installer) -> None:
    (tmp_path / "outside").mkdir()
    package = CondaPackage(name="aaa", files={"conda-meta": Link(str(tmp_path / "outside"))})
    assert "conda-meta leads out" in refused(install, package)
    assert not list((tmp_path / "outside").iterdir())


def test_a_program_whose_name_is_a_path(install: Installer) -> None:
    package = module_package("evil", entry_points=["../../evil = evil:main"])
    assert "'../../evil' is no name for a file" in refused(install, python("3.11.7"), package)


def test_modules_through_a_link_into_where_they_go(tmp_path: Path, install: Installer) -> None:
    (tmp_path / "outside").mkdir()
    site = "lib/python3.11/site-packages"
    packages = [
        python("3.11.7"),
        CondaPackage(name="aaa", files={f"{site}/evil": Link(str(tmp_path / "outside"))}),
        CondaPackage(name="evil", noarch="python", depends=["python"], files={"site-packages/evil/x.py": ""}),
    ]
    refused(install, *packages)
    assert not list((tmp_path / "outside").iterdir())


def test_links_that_packages_may_have(install: Installer) -> None:
    """Into the same environment by whatever way, and to files of the system that nothing goes through."""
    prefix = install(
        CondaPackage(name="aaa", files={
            "lib64": Link("lib"), "lib/libx.so.1": "x", "lib/libx.so": Link("libx.so.1"),
            "share/zone": Link("/usr/share/zoneinfo"),
        }),
        CondaPackage(name="bbb", files={"share/x": Link("../lib/libx.so"), "etc/b": "b"}),
        CondaPackage(
            name="ccc", files={"share/c": "c", "share/d": Link("c")},
            listed=[
                {"_path": "share/c", "path_type": "hardlink"},
                {"_path": "share/d", "path_type": "hardlink"},  # some builders tell no link from a file
            ],
        ),
    )  # fmt: skip
    assert (prefix / "share" / "x").read_text() == "x"
    assert (prefix / "share" / "zone").readlink() == Path("/usr/share/zoneinfo")
    assert (prefix / "share" / "d").read_text() == "c"
