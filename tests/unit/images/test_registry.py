"""Registries that are busy, broken, closed or lie: what is got from them is right, or not got."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from imagekit import PYTHON_FILES, Sample, index, sha, tar
from proj import images
from proj.errors import ImageError, UsageError
from proj.images.blobs import BlobCache, digest_of
from proj.images.credentials import Credentials
from proj.images.documents import Descriptor
from proj.images.http import Patience, Transport
from proj.images.registry import Repository
from registrykit import PASSWORD, TOKEN, USER, FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = Patience(connect_s=60, read_s=60, tries=4, first_pause_s=0.01, longest_pause_s=0.05)
BLOB = bytes(range(256)) * 2000
DESCRIPTOR = Descriptor(mediaType="application/octet-stream", digest=digest_of(BLOB), size=len(BLOB))


def repo(registry: FakeRegistry, name: str = "a/b", **options: Any) -> Repository:
    credentials = options.pop("credentials", Credentials())
    transport = Transport(registry.host, patience=QUICK, credentials=credentials)
    return Repository(transport, name, **options)


@pytest.fixture(autouse=True)
def _no_docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


# --- getting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_registry_is_asked_again(fake_registry: FakeRegistry, status: int) -> None:
    fake_registry.put_blob("a/b", BLOB)
    fake_registry.fail("GET", "/blobs/", status=status, headers={"Retry-After": "0"}, times=2)
    assert repo(fake_registry).fetch(DESCRIPTOR, BlobCache()).read_bytes() == BLOB
    assert fake_registry.count("GET", "/blobs/") == 3


@pytest.mark.parametrize("status", [429, 500])
def test_a_registry_that_stays_busy_is_an_error_with_its_words(
    fake_registry: FakeRegistry, status: int
) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
    fake_registry.fail("GET", "/manifests/", status=status, body=body)
    with pytest.raises(ImageError) as caught:
        repo(fake_registry).manifest("latest")
    assert caught.value.code == "image_pull"
    assert str(status) in caught.value.message
    assert caught.value.details == ("TOOMANYREQUESTS: slow down",)
    assert fake_registry.count("GET", "/manifests/") <= QUICK.tries**2


def test_a_connection_that_breaks_is_taken_up_where_it_broke(fake_registry: FakeRegistry) -> None:
    fake_registry.put_blob("a/b", BLOB)
    fake_registry.fail("GET", "/blobs/", drop_after=200_000, times=2)
    assert repo(fake_registry).fetch(DESCRIPTOR, BlobCache()).read_bytes() == BLOB
    ranges = [headers.get("Range") for headers in fake_registry.headers if "Range" in headers]
    assert ranges == [f"bytes=200000-{len(BLOB) - 1}", f"bytes=400000-{len(BLOB) - 1}"]


def test_a_registry_that_always_breaks_off_leaves_nothing(fake_registry: FakeRegistry) -> None:
    fake_registry.put_blob("a/b", BLOB)
    fake_registry.fail("GET", "/blobs/", drop_after=0)
    cache = BlobCache()
    with pytest.raises(ImageError, match="cannot be reached"):
        repo(fake_registry).fetch(DESCRIPTOR, cache)
    assert cache.find(DESCRIPTOR.digest) is None
    assert not [*(cache.folder / "incoming").iterdir()]


def test_bytes_that_are_changed_are_never_used(fake_registry: FakeRegistry) -> None:
    fake_registry.put_blob("a/b", BLOB)
    fake_registry.fail("GET", "/blobs/", change=True)
    cache = BlobCache()
    with pytest.raises(ImageError, match=r"is not what it should be.*It is not used"):
        repo(fake_registry).fetch(DESCRIPTOR, cache)
    assert cache.find(DESCRIPTOR.digest) is None


def test_bytes_that_are_changed_once_are_asked_for_again(fake_registry: FakeRegistry) -> None:
    fake_registry.put_blob("a/b", BLOB)
    fake_registry.fail("GET", "/blobs/", change=True, times=1)
    assert repo(fake_registry).fetch(DESCRIPTOR, BlobCache()).read_bytes() == BLOB


@pytest.mark.parametrize("size", [1, len(BLOB) - 1, len(BLOB) + 1])
def test_a_blob_of_another_size_is_never_used(fake_registry: FakeRegistry, size: int) -> None:
    fake_registry.put_blob("a/b", BLOB)
    cache = BlobCache()
    with pytest.raises(ImageError):
        repo(fake_registry).fetch(Descriptor(mediaType="x", digest=DESCRIPTOR.digest, size=size), cache)
    assert cache.find(DESCRIPTOR.digest) is None


@pytest.mark.parametrize("by_digest", [True, False])
def test_a_manifest_that_is_changed_is_never_used(fake_registry: FakeRegistry, by_digest: bool) -> None:
    sample = Sample()
    sample.put(fake_registry, "a/b")
    fake_registry.fail("GET", "/manifests/", change=True)
    with pytest.raises(ImageError, match="is not what it should be"):
        repo(fake_registry).manifest(sample.digest if by_digest else "latest")


def test_what_is_not_there_is_named(fake_registry: FakeRegistry) -> None:
    with pytest.raises(ImageError) as caught:
        images.resolve(f"{fake_registry.host}/a/b:1")
    assert caught.value.message == f"There is no image {fake_registry.host}/a/b:1."
    assert caught.value.code == "image_pull"


def test_a_missing_blob_is_named(fake_registry: FakeRegistry) -> None:
    sample = Sample()
    sample.put(fake_registry, "a/b")
    del fake_registry.blobs["a/b"][sha(sample.config)]
    with pytest.raises(ImageError, match="is missing, though the image's manifest names it"):
        images.resolve(f"{fake_registry.host}/a/b")


@pytest.mark.parametrize(
    ("content", "media_type", "said"),
    [
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b"<html>", "text/html", "cannot be read"),
        (b"{}", "application/json", "it is no image"),
        (b'{"config": {"mediaType": "x", "digest": "sha256:1", "size": 1}, "layers": []}', "", "no SHA-256"),
        (
            json.dumps({"config": {"mediaType": "x", "digest": sha(b""), "size": 1}, "layers": []}).encode(),
            "application/vnd.oci.image.manifest.v1+json",
            "its configuration is 'x'",
        ),
        (b'{"schemaVersion": 2, "layers": 7}', "", "cannot be read"),
        (b"\xff\xfe", "", "cannot be read"),
        (b"[" * 100_000, "", "cannot be read"),
    ],
)
def test_documents_that_are_no_images_are_refused(
    fake_registry: FakeRegistry, content: bytes, media_type: str, said: str
) -> None:
    fake_registry.manifests["a/b", "latest"] = (content, media_type)
    with pytest.raises(ImageError, match=said):
        images.resolve(f"{fake_registry.host}/a/b")


def test_an_endless_document_is_not_read(fake_registry: FakeRegistry) -> None:
    fake_registry.manifests["a/b", "latest"] = (b" " * (5 * 1024**2), "")
    with pytest.raises(ImageError, match="where a short answer was due"):
        images.resolve(f"{fake_registry.host}/a/b")


def test_a_layer_type_that_is_not_known_is_refused(fake_registry: FakeRegistry) -> None:
    sample = Sample()
    sample.manifest = sample.manifest.replace(b"layer.v1.tar+gzip", b"layer.v1.erofs")
    sample.put(fake_registry, "a/b")
    with pytest.raises(ImageError, match="erofs"):
        images.resolve(f"{fake_registry.host}/a/b")


def test_nobody_there_is_told_with_the_place() -> None:
    with pytest.raises(ImageError, match=r"127\.0\.0\.1:1 cannot be reached: Connection refused"):
        Transport("127.0.0.1:1", patience=QUICK, credentials=Credentials()).ask(
            "GET", "x", scopes=frozenset()
        )


# --- logging in -----------------------------------------------------------------------------------------


def _log_in(folder: Path, host: str, **entry: str) -> None:
    (folder / "docker").mkdir()
    (folder / "docker/config.json").write_text(json.dumps({"auths": {host: entry}}))


AUTH = "YWRhOmNhbmFyeS1wYXNzd29yZC03NDMx"


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_dockers_credentials_are_used(
    new_registry: Callable[[str | None], FakeRegistry], auth: str, tmp_path: Path
) -> None:
    registry = new_registry(auth)
    Sample().put(registry, "a/b")
    _log_in(tmp_path, registry.host, auth=AUTH)
    assert images.resolve(f"{registry.host}/a/b").python == "3.11"
    if auth == "token":
        assert set(registry.scopes) == {"repository:a/b:pull"}


def test_an_identity_token_is_exchanged(
    new_registry: Callable[[str | None], FakeRegistry], tmp_path: Path
) -> None:
    registry = new_registry("token")
    Sample().put(registry, "a/b")
    _log_in(tmp_path, registry.host, identitytoken="identity-canary", auth=AUTH)
    assert images.resolve(f"{registry.host}/a/b").python == "3.11"


@pytest.mark.parametrize("auth", ["basic", "token"])
@pytest.mark.parametrize("entry", [{}, {"auth": "YWRhOndyb25n"}])
def test_who_is_not_let_in_is_told_so(
    new_registry: Callable[[str | None], FakeRegistry], auth: str, entry: dict[str, str], tmp_path: Path
) -> None:
    registry = new_registry(auth)
    _log_in(tmp_path, registry.host, **entry)
    with pytest.raises(ImageError, match=r"does not allow this .* \(status 401\)") as caught:
        images.resolve(f"{registry.host}/a/b")
    assert caught.value.hint == f"Log in with credentials that may: docker login {registry.host}"


def test_what_is_forbidden_is_told_so(fake_registry: FakeRegistry) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    fake_registry.fail("GET", "/manifests/", status=403, body=body)
    with pytest.raises(ImageError, match=r"does not allow this anonymously \(status 403\)") as caught:
        images.resolve(f"{fake_registry.host}/a/b")
    assert caught.value.details == ("DENIED: requested access to the resource is denied",)
    assert fake_registry.count("GET", "/manifests/") == 1


def test_a_helper_is_asked(
    new_registry: Callable[[str | None], FakeRegistry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = new_registry("basic")
    Sample().put(registry, "a/b")
    helper = tmp_path / "docker-credential-testing"
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread host\n[ $host = {registry.host} ] && echo '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "docker").mkdir()
    config = tmp_path / "docker/config.json"
    config.write_text(json.dumps({"credHelpers": {registry.host: "testing"}}))
    assert images.resolve(f"{registry.host}/a/b").python == "3.11"
    config.write_text(json.dumps({"credsStore": "missing"}))
    with pytest.raises(ImageError, match=r"The credential helper that .* failed"):
        images.resolve(f"{registry.host}/a/b")


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": {"HOST": {"auth": "c2VjcmV0"}}}', '{"auths": 7}'])
def test_a_broken_configuration_is_named_without_its_content(
    fake_registry: FakeRegistry, content: str, tmp_path: Path
) -> None:
    fake_registry.auth = "basic"
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(content.replace("HOST", fake_registry.host))
    with pytest.raises(ImageError, match="is no configuration of docker") as caught:
        images.resolve(f"{fake_registry.host}/a/b")
    assert "c2VjcmV0" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_credentials_stay_with_the_registry_that_they_are_for(
    new_registry: Callable[[str | None], FakeRegistry], fake_registry: FakeRegistry, tmp_path: Path
) -> None:
    """Where blobs come from another host, as with all that keep them in an object store."""
    registry = new_registry("basic")
    sample = Sample()
    sample.put(registry, "a/b")
    sample.put(fake_registry, "a/b")
    elsewhere = f"http://localhost:{fake_registry.host.partition(':')[2]}"
    for blob in (sample.config, *sample.blobs):
        path = f"/v2/a/b/blobs/{sha(blob)}"
        registry.fail("GET", path, status=307, headers={"Location": elsewhere + path})
    _log_in(tmp_path, registry.host, auth=AUTH)
    assert images.resolve(f"{registry.host}/a/b").python == "3.11"
    assert fake_registry.count("GET", "/blobs/") == 2
    assert not [headers for headers in fake_registry.headers if "Authorization" in headers]


def test_credentials_are_not_shown() -> None:
    shown = repr(Credentials(username=USER, password=PASSWORD, identity_token=TOKEN))
    assert PASSWORD not in shown
    assert TOKEN not in shown


# --- sending --------------------------------------------------------------------------------------------


@pytest.fixture
def blob_file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(BLOB)
    return path


def test_a_blob_is_sent(fake_registry: FakeRegistry, blob_file: Path) -> None:
    told: list[int] = []
    repo(fake_registry, write=True).send(DESCRIPTOR, blob_file, told.append)
    assert fake_registry.blobs["a/b"][DESCRIPTOR.digest] == BLOB
    assert told[-1] == len(BLOB)


def test_sending_goes_on_where_it_broke(fake_registry: FakeRegistry, blob_file: Path) -> None:
    fake_registry.fail("PATCH", "/uploads/", take=300_000, times=1)
    repo(fake_registry, write=True).send(DESCRIPTOR, blob_file)
    assert fake_registry.blobs["a/b"][DESCRIPTOR.digest] == BLOB
    ranges = [headers["Content-Range"] for headers in fake_registry.headers if "Content-Range" in headers]
    assert ranges == [f"300000-{len(BLOB) - 1}"]


@pytest.mark.parametrize("status", [404, 400, 416])
def test_sending_begins_anew_where_it_cannot_go_on(
    fake_registry: FakeRegistry, blob_file: Path, status: int
) -> None:
    fake_registry.fail("PATCH", "/uploads/", take=300_000, times=1)
    fake_registry.fail("PATCH", "/uploads/", status=status, times=1)
    repo(fake_registry, write=True).send(DESCRIPTOR, blob_file)
    assert fake_registry.blobs["a/b"][DESCRIPTOR.digest] == BLOB
    assert fake_registry.count("POST", "/uploads/") == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_registry_gets_it_later(
    fake_registry: FakeRegistry, blob_file: Path, method: str, status: int
) -> None:
    fake_registry.fail(method, "/uploads/", status=status, times=2)
    repo(fake_registry, write=True).send(DESCRIPTOR, blob_file)
    assert fake_registry.blobs["a/b"][DESCRIPTOR.digest] == BLOB


def test_a_refusal_is_told(fake_registry: FakeRegistry, blob_file: Path) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"quota exceeded"}]}'
    fake_registry.fail("POST", "/uploads/", status=403, body=body)
    with pytest.raises(ImageError) as caught:
        repo(fake_registry, write=True).send(DESCRIPTOR, blob_file)
    assert caught.value.details == ("DENIED: quota exceeded",)


def test_a_file_that_is_no_longer_what_it_was_is_not_taken(
    fake_registry: FakeRegistry, tmp_path: Path
) -> None:
    path = tmp_path / "rotten"
    path.write_bytes(BLOB[:-1] + b"x")
    with pytest.raises(ImageError) as caught:
        repo(fake_registry, write=True).send(DESCRIPTOR, path)
    assert caught.value.details == ("DIGEST_INVALID: digest did not match",)


def test_a_registry_that_claims_another_digest_is_not_believed(
    fake_registry: FakeRegistry, blob_file: Path
) -> None:
    fake_registry.fail("PUT", "/uploads/", digest=sha(b"x"))
    with pytest.raises(ImageError, match="is not what it should be"):
        repo(fake_registry, write=True).send(DESCRIPTOR, blob_file)
    fake_registry.fail("PUT", "/manifests/", digest=sha(b"x"))
    with pytest.raises(ImageError, match="is not what it should be"):
        repo(fake_registry, write=True).put_manifest(b"{}", "x", "latest")


def _built(registry: FakeRegistry, folder: Path, base: str = "base/python") -> images.BuiltImage:
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    spec = images.BuildSpec(
        base=f"{registry.host}/{base}", platform="linux/amd64", code=images.CodeSpec(root=folder)
    )
    return images.build(spec)


def test_layers_of_the_base_are_mounted_and_nothing_is_sent_twice(
    fake_registry: FakeRegistry, tmp_path: Path
) -> None:
    sample = Sample(tar(PYTHON_FILES), tar({"big": BLOB}))
    sample.put(fake_registry, "base/python")
    built = _built(fake_registry, tmp_path / "code")
    assert images.push(built, f"{fake_registry.host}/team/x:1") == (
        f"{fake_registry.host}/team/x@{built.manifest_digest}"
    )
    assert fake_registry.count("POST", "mount=") == 2
    assert fake_registry.count("GET", f"base/python/blobs/{sha(sample.blobs[1])}") == 0
    assert fake_registry.manifests["team/x", "1"][0] == built.manifest
    sent = fake_registry.sent_bytes
    assert images.push(built, f"{fake_registry.host}/team/x:2")
    assert fake_registry.sent_bytes - sent == len(built.manifest)
    assert fake_registry.count("PATCH", "") == 2  # code and configuration, the first time


def test_layers_of_a_base_elsewhere_are_fetched_and_sent(
    fake_registry: FakeRegistry, new_registry: Callable[[str | None], FakeRegistry], tmp_path: Path
) -> None:
    sample = Sample(docker=True)
    sample.put(fake_registry, "base/python")
    other = new_registry(None)
    built = _built(fake_registry, tmp_path / "code")
    images.push(built, f"{other.host}/team/x:1")
    assert other.blobs["team/x"][sha(sample.blobs[0])] == sample.blobs[0]
    manifest = json.loads(other.manifests["team/x", "1"][0])
    assert {layer["mediaType"].partition("tar")[0] for layer in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1."
    }


def test_a_mount_that_is_refused_is_no_failure(fake_registry: FakeRegistry, tmp_path: Path) -> None:
    sample = Sample()
    sample.put(fake_registry, "base/python")
    fake_registry.fail("POST", "mount=", status=405)
    built = _built(fake_registry, tmp_path / "code")
    images.push(built, f"{fake_registry.host}/team/x:1")
    assert sha(sample.blobs[0]) in fake_registry.blobs["team/x"]


def test_a_token_for_mounting_is_one_for_both_repositories(
    new_registry: Callable[[str | None], FakeRegistry], tmp_path: Path
) -> None:
    registry = new_registry("token")
    Sample().put(registry, "base/python")
    _log_in(tmp_path, registry.host, auth=AUTH)
    built = _built(registry, tmp_path / "code")
    images.push(built, f"{registry.host}/team/x:1")
    assert {"repository:base/python:pull", "repository:team/x:pull,push"} <= set(registry.scopes)


def test_the_tag_appears_last_and_not_if_a_layer_fails(fake_registry: FakeRegistry, tmp_path: Path) -> None:
    Sample().put(fake_registry, "base/python")
    built = _built(fake_registry, tmp_path / "code")
    fake_registry.fail("PATCH", "/uploads/", status=400)
    with pytest.raises(ImageError):
        images.push(built, f"{fake_registry.host}/team/x:1")
    assert ("team/x", "1") not in fake_registry.manifests


def test_several_platforms_are_pushed_as_an_index(fake_registry: FakeRegistry, tmp_path: Path) -> None:
    for sample in (Sample(), Sample(architecture="arm64", env=("PATH=/usr/local/bin", "A=1"))):
        sample.put(fake_registry, "base/python", sample.digest)
    both = (Sample(), Sample(architecture="arm64", env=("PATH=/usr/local/bin", "A=1")))
    media_type = "application/vnd.oci.image.index.v1+json"
    fake_registry.manifests["base/python", "latest"] = (index(*both), media_type)
    (tmp_path / "x.py").touch()
    built = [
        images.build(
            images.BuildSpec(
                base=f"{fake_registry.host}/base/python",
                platform=platform,
                code=images.CodeSpec(root=tmp_path),
            )
        )
        for platform in ("linux/arm64", "linux/amd64")
    ]
    pushed = images.push(built, f"{fake_registry.host}/team/x:1")
    content, said = fake_registry.manifests["team/x", "1"]
    assert (said, pushed.partition("@")[2]) == (media_type, sha(content))
    platforms = [entry["platform"]["architecture"] for entry in json.loads(content)["manifests"]]
    assert platforms == ["amd64", "arm64"]
    assert images.resolve(f"{fake_registry.host}/team/x:1", platform="linux/arm64").digest == (
        built[0].manifest_digest
    )
    with pytest.raises(ImageError, match="is not there for linux/s390x") as caught:
        images.resolve(f"{fake_registry.host}/team/x:1", platform="linux/s390x")
    assert caught.value.hint == "It is there for linux/amd64, linux/arm64."


def test_a_digest_is_nothing_to_push_to(fake_registry: FakeRegistry, tmp_path: Path) -> None:
    Sample().put(fake_registry, "base/python")
    built = _built(fake_registry, tmp_path / "code")
    with pytest.raises(UsageError, match="by a tag, not by a digest"):
        images.push(built, f"{fake_registry.host}/team/x@{sha(b'x')}")
