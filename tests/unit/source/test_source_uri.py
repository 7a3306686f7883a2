from __future__ import annotations

from pathlib import Path

import pytest

from proj import source
from proj.errors import SourceError
from proj.source.uri import (
    enter_subdir,
    host_of,
    normalise_subdir,
    parse,
    redact_text,
    redact_url,
    split_credentials,
)


@pytest.mark.parametrize(
    ("uri", "kind", "url", "subdir"),
    [
        ("https://host.org/o/r", "git", "https://host.org/o/r", ""),
        ("https://host.org/o/r.git#a.b/c", "git", "https://host.org/o/r.git", "a.b/c"),
        ("'https://host.org/o/r'", "git", "https://host.org/o/r", ""),
        ('"https://host.org/o/r#s"', "git", "https://host.org/o/r", "s"),
        ("git@host.org:o/r.git#s", "git", "git@host.org:o/r.git", "s"),
        ("alias:o/r.git", "git", "alias:o/r.git", ""),
        ("ssh://git@host.org:2222/o/r", "git", "ssh://git@host.org:2222/o/r", ""),
        ("git+https://host.org/x.zip", "git", "https://host.org/x.zip", ""),
        ("git+ssh://git@host.org/r", "git", "ssh://git@host.org/r", ""),
        ("https://host.org/x.zip#s", "archive", "https://host.org/x.zip", "s"),
        ("https://host.org/x.tar.gz?a=1", "archive", "https://host.org/x.tar.gz?a=1", ""),
        ("HTTPS://host.org/o/r", "git", "HTTPS://host.org/o/r", ""),
    ],
)
def test_remote_forms(tmp_path: Path, uri: str, kind: str, url: str, subdir: str) -> None:
    location = parse(uri, cwd=tmp_path)
    assert (location.kind, location.url, location.subdir, location.path) == (kind, url, subdir, None)
    assert source.is_remote(uri, cwd=tmp_path)


def test_a_folder_is_not_remote_and_an_archive_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project.zip").touch()
    assert not source.is_remote("project#sub", cwd=tmp_path)
    assert not source.is_remote(f"file://{tmp_path}/project", cwd=tmp_path)
    assert source.is_remote("project.zip", cwd=tmp_path)


def test_local_forms(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "c#d" / "e").mkdir(parents=True)
    (tmp_path / "x.tar.gz").touch()
    assert parse("a b", cwd=tmp_path).path == tmp_path / "a b"
    assert parse("./a b/../a b", cwd=tmp_path).path == tmp_path / "a b"
    assert parse((tmp_path / "a b").as_uri(), cwd=Path("/")).path == tmp_path / "a b"
    hashed = parse("c#d#e", cwd=tmp_path)
    assert (hashed.path, hashed.subdir) == (tmp_path / "c#d", "e")
    assert parse("c#d", cwd=tmp_path).path == tmp_path / "c#d"
    assert parse(".#./a b/../c", cwd=tmp_path).subdir == "c"
    assert parse("x.tar.gz#s", cwd=tmp_path).kind == "archive"


@pytest.mark.parametrize(
    "uri",
    [
        "", "''", "-x", "--upload-pack=touch x", "ext::sh -c id", "git+ext::sh", "s3://bucket/x", "hg+https://h/x",
        "https://-oProxyCommand=id/x", "ssh://-oProxyCommand=id/x", "-oProxyCommand=id:x", "git@host:-x",
        "git@-oProxyCommand=id:x", "https:///x", "file://host/x", "file:///nowhere/at/all", "a\nb", "a\0b",
        "https://u:p%0a@host/x", "no/such/folder", "https://host/x#../y", "git@host:x#a/../../y", "ftp://host/x.zip",
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SourceError):
        parse(uri, cwd=tmp_path)


def test_a_missing_path_suggests_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "wine-quality").mkdir()
    with pytest.raises(SourceError, match="No such folder") as caught:
        parse("wine-qualty", cwd=tmp_path)
    assert caught.value.hint == "Did you mean wine-quality?"
    with pytest.raises(SourceError) as caught:
        parse("host.org/owner/repo", cwd=tmp_path)
    assert caught.value.hint == "For a repository write https://host.org/owner/repo"


def test_a_single_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    with pytest.raises(SourceError, match="Neither a folder nor an archive") as caught:
        parse("train.py", cwd=tmp_path)
    assert "-e train.py" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", ""), (".", ""), ("/a/", "a"), ("./a.b/../c", "c"), ("a//b/.", "a/b"), ("..a/...", "..a/...")],
)
def test_subdirs_are_normalised(given: str, expected: str) -> None:
    assert normalise_subdir(given) == expected


def test_a_missing_subdir_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"No folder 'a/x' in here") as caught:
        enter_subdir(tmp_path, "a/x", root=tmp_path, shown="here")
    assert caught.value.hint == "The folder 'a' has: b."


def test_a_subdir_that_links_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="leads out"):
        enter_subdir(tmp_path / "root", "out", root=tmp_path / "root", shown="here")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ada:tok@host/x", "https://host/x"),
        ("https://tok@host/x", "https://host/x"),
        ("https://ada:t/o@k@host/x", "https://host/x"),
        ("git+https://ada:tok@host/x#s", "git+https://host/x#s"),
        ("ssh://git:tok@host/x", "ssh://git@host/x"),
        ("git@host:x", "git@host:x"),
        ("https://host:8443/p@q", "https://host:8443/p@q"),
        ("https://host/x.zip?token=a&v=1&X-Amz-Signature=b", "https://host/x.zip?token=***&v=1&X-Amz-Signature=***"),
        ("./a@b:c", "./a@b:c"),
    ],
)  # fmt: skip
def test_urls_are_shown_without_secrets(url: str, expected: str) -> None:
    assert redact_url(url) == expected


def test_credentials_are_decoded_and_scoped() -> None:
    url, credentials = split_credentials("https://ada:a%40b@host:8443/x")
    assert url == "https://host:8443/x"
    assert credentials is not None
    assert (credentials.scope, credentials.username, credentials.password) == (
        "https://host:8443",
        "ada",
        "a@b",
    )
    assert "a@b" not in repr(credentials)
    assert (
        redact_text("no a@b, no a%40b, no https://x:y@h/", credentials) == "no ***, no ***, no https://***@h/"
    )
    assert split_credentials("https://host/x") == ("https://host/x", None)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.b:1/x", "a.b"),
        ("git@a.b:x", "a.b"),
        ("a.b:x", "a.b"),
        ("ssh://u@a.b/x", "a.b"),
        ("/a/b", ""),
    ],
)
def test_host(url: str, host: str) -> None:
    assert host_of(url) == host
