from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from archive_kit import make_zip
from proj import events, paths, source
from proj.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileServer:
    """Answers by path: `/to/<url>` redirects, `/short` breaks off, `/private/…` asks for ada, else a file."""

    def __init__(self, folder: Path) -> None:
        self.authorizations: list[str | None] = []
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]  # passed through

            def do_GET(self) -> None:
                server.authorizations.append(self.headers.get("Authorization"))
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path[4:])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path == "/short":
                    self.send_response(200)
                    self.send_header("Content-Length", "100")
                    self.end_headers()
                    self.wfile.write(b"half")
                elif self.path.startswith("/private/") and not self.headers.get("Authorization"):
                    self.send_error(401)
                else:
                    self.path = self.path.removeprefix("/private")
                    super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a b.csv").write_bytes(b"x" * 600_000)
    make_zip(folder / "iris.zip", ("iris/MLproject", b"name: x\n", 0o100644))
    server = FileServer(folder)
    yield server
    server.close()


def test_a_file_is_streamed_and_named_by_its_url(
    files: FileServer, tmp_path: Path, said: list[events.Event]
) -> None:
    path = source.download(f"{files.url}/a%20b.csv?v=1#x", tmp_path / "data")
    assert path == tmp_path / "data" / "a b.csv"
    assert path.stat().st_size == 600_000
    assert [event.total for event in said if event.kind == "progress"][-1] == 600_000
    again = source.download(f"{files.url}/to/{files.url}/a%20b.csv", tmp_path / "data")
    assert again != path
    assert again.read_bytes() == path.read_bytes()


def test_file_urls_are_copied(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a%b").write_text("content", "utf-8")
    copied = source.download((tmp_path / "in" / "sub" / "a%b").as_uri(), tmp_path / "data")
    assert (copied.name, copied.read_text("utf-8")) == ("a%b", "content")
    folder = source.download((tmp_path / "in").as_uri(), tmp_path / "data")
    assert (folder / "sub" / "a%b").read_text("utf-8") == "content"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["a%b", "in"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nothing", "answers 404"),
        ("/short", "broke off after 4 of 100 bytes"),
        ("/private/a%20b.csv", "asks who you are"),
        ("/to/file:///etc/passwd", "is not allowed"),
        ("/to/ftp://127.0.0.1/x", "which is not followed"),
    ],
)
def test_failures_leave_nothing(files: FileServer, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        source.download(files.url + path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_silent_or_absent_host(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1 cannot be reached"):
        source.download("http://127.0.0.1:9/x", tmp_path)
    with pytest.raises(SourceError, match="No such file"):
        source.download("file:///nowhere/x", tmp_path)


@pytest.mark.parametrize("uri", ["s3://bucket/key", "ftp://h/x", "relative/path", "hdfs://u:s3cr3t@h/x"])
def test_other_schemes_are_named(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SourceError, match="Cannot download") as caught:
        source.download(uri, tmp_path)
    assert "https://" in str(caught.value.hint)
    assert "s3cr3t" not in caught.value.message


def test_a_limit_on_size(files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_DOWNLOAD_MAX_BYTES", "500000")
    with pytest.raises(SourceError, match="larger than 500000 bytes"):
        source.download(f"{files.url}/a%20b.csv", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_credentials_are_used_and_stay_where_they_belong(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[events.Event]
) -> None:
    url = f"http://ada:s3cr3t@{files.host}/private/a%20b.csv"
    assert source.download(url, tmp_path / "data").stat().st_size == 600_000
    assert "s3cr3t" not in repr(said)
    files.authorizations.clear()
    source.download(f"http://ada:s3cr3t@{files.host}/to/{files.url}/a%20b.csv", tmp_path / "data")
    assert [each is None for each in files.authorizations] == [False, True]
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password s3cr3t\n", "utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    source.download(f"{files.url}/private/a%20b.csv", tmp_path / "data")
    with pytest.raises(SourceError) as caught:
        source.download(f"http://ada:s3cr3t@{files.host}/nothing?token=s3cr3t", tmp_path / "data")
    assert "s3cr3t" not in caught.value.message


def test_an_archive_from_a_server(files: FileServer, tmp_path: Path) -> None:
    checkout = source.fetch(f"http://ada:s3cr3t@{files.host}/private/iris.zip?token=s3cr3t", cwd=tmp_path)
    assert checkout.uri == f"{files.url}/private/iris.zip?token=***"
    assert (checkout.project_dir / "MLproject").is_file()
    assert [path.name for path in checkout.root.parent.iterdir()] == ["iris"]
    source.release(checkout)
    with pytest.raises(SourceError, match="answers 404"):
        source.fetch(f"{files.url}/nothing.zip", cwd=tmp_path)
    assert not list((paths.cache() / "checkouts").iterdir())
