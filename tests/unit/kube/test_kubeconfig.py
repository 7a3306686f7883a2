from __future__ import annotations

import base64
import itertools
import json
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tlskit
from proj.kube import kubeconfig
from proj.kube.client import Client
from proj.kube.credentials import Credentials
from proj.kube.errors import ApiError, ConfigError, UnreachableClusterError
from proj.kube.kubeconfig import Cluster, Connection, ExecPlugin, User, connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeapi import Asked, FakeApi


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    def write(user: dict[str, Any] | None = None, *, name: str = "config", **more: Any) -> Path:
        content = {
            "current-context": "a",
            "clusters": [
                {"name": "c", "cluster": {"server": "http://127.0.0.1:1", **more.pop("cluster", {})}}
            ],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
            **more,
        }
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))
        return path

    return write


def greeting() -> dict[str, str]:
    return dict(Credentials(connection()).headers())


def test_a_token(config: Callable[..., Path]) -> None:
    config({"token": "t"})
    assert greeting() == {"Authorization": "Bearer t"}
    assert connection().namespace == "team"
    assert "t" not in repr(connection().user).removeprefix("User")


def test_a_password_and_impersonation(config: Callable[..., Path]) -> None:
    config({"username": "ada", "password": "x", "as": "grace"})
    expected = base64.b64encode(b"ada:x").decode()
    assert greeting() == {"Authorization": f"Basic {expected}", "Impersonate-User": "grace"}


def test_a_token_file_is_relative_to_the_kubeconfig(config: Callable[..., Path]) -> None:
    path = config({"tokenFile": "token"})
    (path.parent / "token").write_text("t\n")
    assert greeting() == {"Authorization": "Bearer t"}
    (path.parent / "token").unlink()
    with pytest.raises(ConfigError, match="token file"):
        greeting()


PLUGIN = """\
#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/info"
echo x >> "$(dirname "$0")/calls"
echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {status}}}'
"""


def plugin(path: Path, status: str) -> None:
    path.write_text(PLUGIN.format(status=status))
    path.chmod(0o755)


def test_a_credential_plugin(config: Callable[..., Path]) -> None:
    path = config({"exec": {"command": "./plugin", "env": None, "args": None, "provideClusterInfo": True,
                            "apiVersion": "client.authentication.k8s.io/v1"}})  # fmt: skip
    plugin(path.parent / "plugin", '{"token": "t", "expirationTimestamp": "2999-01-01T00:00:00Z"}')
    credentials = Credentials(connection())
    for _ in range(2):
        assert credentials.headers() == {"Authorization": "Bearer t"}
    assert (path.parent / "calls").read_text() == "x\n"
    credentials.headers(renew=True)
    assert (path.parent / "calls").read_text() == "x\nx\n"
    info = json.loads((path.parent / "info").read_text())
    assert info["kind"] == "ExecCredential"
    assert info["spec"]["cluster"]["server"] == "http://127.0.0.1:1"


def test_a_plugin_whose_token_has_run_out_is_asked_again(config: Callable[..., Path]) -> None:
    path = config({"exec": {"command": "./plugin"}})
    plugin(path.parent / "plugin", '{"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"}')
    credentials = Credentials(connection())
    credentials.headers()
    credentials.headers()
    assert (path.parent / "calls").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exit 3", "failed"),
        ("echo secret-token", "yields no ExecCredential"),
        ("echo '{}'", "no credentials"),
    ],
)
def test_a_plugin_that_fails_is_told_without_its_output(
    config: Callable[..., Path], text: str, says: str
) -> None:
    path = config({"exec": {"command": "./plugin", "installHint": "install it"}})
    (path.parent / "plugin").write_text(f"#!/bin/sh\n{text}\n")
    (path.parent / "plugin").chmod(0o755)
    with pytest.raises(ConfigError, match=says) as caught:
        greeting()
    assert "secret-token" not in str(caught.value)


def test_a_plugin_that_is_missing_gives_its_hint(config: Callable[..., Path]) -> None:
    config({"exec": {"command": "no-such-plugin-anywhere", "installHint": "install it so"}})
    with pytest.raises(ConfigError) as caught:
        greeting()
    assert caught.value.hint == "install it so"


def test_an_auth_provider_needs_kubernetes_own_client(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config({"auth-provider": {"name": "oidc"}})
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    monkeypatch.setitem(__import__("sys").modules, "kubernetes.config", None)
    with pytest.raises(ConfigError, match="auth-provider") as caught:
        greeting()
    assert "proj[kubernetes]" in (caught.value.hint or "")


def test_a_certificate_that_is_none_is_told(config: Callable[..., Path]) -> None:
    config(cluster={"server": "https://127.0.0.1:1", "certificate-authority-data": "QUJD"})
    with pytest.raises(ConfigError, match="certificates"):
        Client(connection())


def test_insecure_means_insecure(config: Callable[..., Path]) -> None:
    config(cluster={"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True})
    assert Credentials(connection()).tls().verify_mode is ssl.CERT_NONE
    config(cluster={"server": "https://127.0.0.1:1"})
    assert Credentials(connection()).tls().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("how", ["data", "file", None])
def test_a_clusters_own_authority_need_not_be_made_as_the_webs_are(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str | None
) -> None:
    """EKS's has no authority key identifier, which Python asks for from 3.13 on."""
    make = ssl.create_default_context

    def strict(**_: Any) -> ssl.SSLContext:
        made = make()
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    authority = {"data": {"certificate-authority-data": "QUJD"}, "file": {"certificate-authority": "ca"}}
    config(cluster={"server": "https://127.0.0.1:1", **(authority[how] if how else {})})
    flags = Credentials(connection()).tls().verify_flags
    assert bool(flags & ssl.VERIFY_X509_STRICT) == (how is None)


def test_of_several_files_the_first_counts(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = config({"token": "second"}, name="2")
    first = config({"token": "first"}, name="1")
    third = first.parent / "missing"
    monkeypatch.setenv("KUBECONFIG", f"{third}:{first}:{second}")
    assert greeting() == {"Authorization": "Bearer first"}


@pytest.mark.parametrize(
    ("more", "context", "says"),
    [
        ({"current-context": ""}, None, "No context is chosen"),
        ({}, "b", "no context 'b'"),
        ({"clusters": []}, None, "no cluster 'c'"),
        ({"users": []}, None, "no user 'u'"),
        ({"users": 3}, None, "Cannot make sense"),
        ({"cluster": {"server": "ftp://x"}}, None, "no URL"),
    ],
)
def test_what_cannot_be_meant_is_told(
    config: Callable[..., Path], more: dict[str, Any], context: str | None, says: str
) -> None:
    config(**more)
    with pytest.raises(ConfigError, match=says):
        connection(context)


def test_no_kubeconfig_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="There is no kubeconfig"):
        connection()


def test_within_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setattr(kubeconfig, "_SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(ConfigError, match="service account"):
        connection()
    (tmp_path / "namespace").write_text("team\n")
    (tmp_path / "token").write_text("t")
    found = connection()
    assert (found.cluster.server, found.namespace) == ("https://10.96.0.1:443", "team")
    assert Credentials(found).headers() == {"Authorization": "Bearer t"}


# --- the client ---------------------------------------------------------------------------------------


def client_of(api: FakeApi, **user: Any) -> Client:
    return Client(Connection(cluster=Cluster(server=api.url), user=User(**user)))


def test_what_is_forbidden_names_verb_and_resource(serve: Callable[..., FakeApi]) -> None:
    said = ('jobs.batch is forbidden: User "system:serviceaccount:team:x" cannot create resource "jobs" in '
            'API group "batch" in the namespace "team"')  # fmt: skip
    api = serve(lambda asked: asked.answer({"message": said, "reason": "Forbidden", "code": 403}, 403))
    with pytest.raises(ApiError, match="may not create jobs in the namespace team") as caught:
        client_of(api).send("POST", "/x", "create the Job a")
    assert caught.value.code == "refused"


def test_a_busy_server_is_asked_again(serve: Callable[..., FakeApi]) -> None:
    count = itertools.count()
    api = serve(lambda asked: asked.answer({}, 503 if next(count) < 2 else 200))
    client = client_of(api)
    assert client.send("GET", "/x", "ask") == b"{}"
    assert client.calls == 3


def test_a_token_that_was_refused_is_renewed_once(serve: Callable[..., FakeApi], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    def respond(asked: Asked) -> None:
        asked.answer({}, 200 if asked.headers["Authorization"] == "Bearer new" else 401)

    client = client_of(serve(respond), token_file=token)
    with pytest.raises(ApiError, match="does not know who asks"):
        client.send("GET", "/x", "ask")
    token.write_text("new")
    assert client.send("GET", "/x", "ask") == b"{}"


@pytest.mark.parametrize("proxy", ["socks5://localhost:1080", "localhost:1080"])
def test_a_proxy_that_cannot_be_used_is_told(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    config(cluster={"server": "http://10.0.0.1:1", "proxy-url": proxy})
    with pytest.raises(ConfigError, match="proxy-url") as caught:
        Client(connection())
    assert "HTTP proxy" in (caught.value.hint or "")
    config()
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    if "://" in proxy:
        with pytest.raises(ConfigError, match="A variable such as"):
            Client(connection())
    else:  # as curl takes it
        Client(connection())


def test_impersonation_is_sent_whole(config: Callable[..., Path], serve: Callable[..., FakeApi]) -> None:
    extra = {"reason/why": ["a", "b"]}
    api = serve(lambda asked: asked.answer({}))
    config(
        {"as": "grace", "as-uid": "7", "as-groups": ["navy", "cobol"], "as-user-extra": extra},
        cluster={"server": api.url},
    )
    Client(connection()).send("GET", "/x", "ask")
    headers = api.asked[0]._handler.headers
    assert headers["Impersonate-User"] == "grace"
    assert headers["Impersonate-Uid"] == "7"
    assert headers.get_all("Impersonate-Group") == ["navy", "cobol"]
    assert headers.get_all("Impersonate-Extra-reason%2Fwhy") == ["a", "b"]
    assert headers["User-Agent"].startswith("proj/")


def test_a_certificate_that_a_plugin_renews_is_used(serve: Callable[..., FakeApi], tmp_path: Path) -> None:
    shown: list[bytes] = []

    def respond(asked: Asked) -> None:
        shown.append(asked._handler.connection.getpeercert(binary_form=True))
        asked.answer({})

    api = serve(respond)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        tlskit.issued(folder)
        context.load_verify_locations(folder / "ca.pem")
        pair = {"clientCertificateData": (folder / "cert.pem").read_text(),
                "clientKeyData": (folder / "key.pem").read_text()}  # fmt: skip
        (folder / "status").write_text(json.dumps({"expirationTimestamp": "2001-01-01T00:00:00Z", **pair}))
    context.load_cert_chain(tmp_path / "1" / "server.pem")
    api._server.socket = context.wrap_socket(api._server.socket, server_side=True)
    script = f'#!/bin/sh\nprintf \'{{"kind": "ExecCredential", "status": %s}}\' "$(cat {tmp_path}/status)"\n'
    (tmp_path / "plugin").write_text(script)
    (tmp_path / "plugin").chmod(0o755)
    (tmp_path / "status").symlink_to("1/status")
    client = Client(
        Connection(
            cluster=Cluster(
                server=api.url.replace("http:", "https:"), certificate_authority=tmp_path / "1" / "ca.pem"
            ),
            user=User(exec=ExecPlugin(command=str(tmp_path / "plugin"))),
        )
    )
    for _ in range(2):
        client.send("GET", "/x", "ask")
    assert client._pool_is_of == 1  # its connections serve for as long as the certificate is the same
    (tmp_path / "status").unlink()
    (tmp_path / "status").symlink_to("2/status")
    client.send("GET", "/x", "ask")
    expected = [ssl.PEM_cert_to_DER_cert((tmp_path / n / "cert.pem").read_text()) for n in "112"]
    assert shown == expected


def test_nobody_there_is_told_with_the_address() -> None:
    client = Client(Connection(cluster=Cluster(server="http://127.0.0.1:9"), user=User()))
    with pytest.raises(UnreachableClusterError, match=r"127\.0\.0\.1:9"):
        client.send("GET", "/x", "ask", tries=1)


def test_a_redirect_is_not_followed(serve: Callable[..., FakeApi]) -> None:
    """It could carry the credentials to somebody else."""
    api = serve(lambda asked: asked.answer({}, 302))
    client_of(api, token="t").send("GET", "/x", "ask")
    assert len(api.asked) == 1


def test_keys_touch_the_disk_for_a_moment_and_for_us_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    modes: list[int] = []

    def load(self: ssl.SSLContext, name: str) -> None:
        modes.append(stat.S_IMODE(Path(name).stat().st_mode))

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = base64.b64encode(b"x").decode()
    user = User(client_certificate_data=data, client_key_data=data)
    Credentials(Connection(cluster=Cluster(server="https://h"), user=user)).tls()
    assert modes == [0o600]
    assert list(tmp_path.iterdir()) == []
