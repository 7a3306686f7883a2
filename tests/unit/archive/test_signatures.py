from __future__ import annotations

import json
import shutil
import subprocess  # noqa: TID251  a user's own tools
from typing import TYPE_CHECKING

import pytest

from archives import allow, build, contents, exported, key, rich_run
from proj import archive, paths
from proj.archive import manifest, open_archive
from proj.archive.signatures import NAMESPACE, Signature, sign, verify
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")


def signed(path: Path, private: Path) -> Path:
    with open_tracking(paths.home()) as tracking:
        archive.export(tracking, [rich_run(tracking)], path, sign=lambda content: sign(content, private))
    return path


def check(path: Path, allowed: Path | None) -> Signature:
    with open_archive(path) as opened:
        return verify(opened, allowed)


def test_who_signed_is_told(tmp_path: Path) -> None:
    alice = key(tmp_path, "alice")
    found = check(signed(tmp_path / "run.zip", alice), allow(tmp_path, **{"alice@example.org": alice}))
    listed = subprocess.run(["ssh-keygen", "-lf", str(alice)], check=True, capture_output=True, text=True)
    assert found.signer == "alice@example.org"
    assert found.key in listed.stdout.split()


def test_ssh_keygen_alone_can_check_it(tmp_path: Path) -> None:
    alice = key(tmp_path, "alice")
    files = contents(signed(tmp_path / "run.zip", alice))
    (tmp_path / "sig").write_bytes(files[manifest.SIGNATURE])
    argv = ["ssh-keygen", "-Y", "verify", "-f", str(allow(tmp_path, alice=alice)), "-I", "alice"]
    argv += ["-n", NAMESPACE, "-s", str(tmp_path / "sig")]
    subprocess.run(argv, input=files[manifest.STATEMENT], check=True, capture_output=True)


def test_the_statement_names_every_file_and_the_run(tmp_path: Path) -> None:
    run = exported(tmp_path / "run.zip")
    files = contents(tmp_path / "run.zip")
    statement = json.loads(files[manifest.STATEMENT])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:proj:run-archive:v1"
    named = {subject["name"] for subject in statement["subject"]}
    assert named == files.keys() - {manifest.STATEMENT}
    (claim,) = statement["predicate"]["runs"]
    assert (claim["runId"], claim["status"]) == (run.run_id, "FINISHED")
    assert claim["finishedOn"] == "2023-11-14T22:13:21.234Z"


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    path = signed(tmp_path / "run.zip", key(tmp_path, "mallory"))
    with pytest.raises(archive.SignatureError, match="does not name"):
        check(path, allow(tmp_path, alice=key(tmp_path, "alice")))


def test_a_key_that_may_sign_other_things_is_refused(tmp_path: Path) -> None:
    alice = key(tmp_path, "alice")
    allowed = allow(tmp_path, alice=alice)
    allowed.write_text(allowed.read_text().replace(NAMESPACE, "git"))
    with pytest.raises(archive.SignatureError):
        check(signed(tmp_path / "run.zip", alice), allowed)


def test_a_signature_for_something_else_is_refused(tmp_path: Path) -> None:
    alice = key(tmp_path, "alice")
    files = contents(signed(tmp_path / "run.zip", alice))
    (tmp_path / "data").write_bytes(files[manifest.STATEMENT])
    argv = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(alice), str(tmp_path / "data")]
    subprocess.run(argv, check=True, capture_output=True)
    files[manifest.SIGNATURE] = (tmp_path / "data.sig").read_bytes()
    with pytest.raises(archive.SignatureError):
        check(build(tmp_path / "bad.zip", files), allow(tmp_path, alice=alice))


def test_another_statement_under_the_signature_is_refused(tmp_path: Path) -> None:
    """All digests fit: it is a whole archive of another run, with the signature of this one."""
    alice = key(tmp_path, "alice")
    theirs = contents(signed(tmp_path / "run.zip", alice))
    exported(tmp_path / "other.zip")
    mixed = {**contents(tmp_path / "other.zip"), manifest.SIGNATURE: theirs[manifest.SIGNATURE]}
    path = build(tmp_path / "mixed.zip", mixed)
    with pytest.raises(archive.SignatureError, match="not valid"):
        check(path, allow(tmp_path, alice=alice))


def test_an_archive_without_signature_is_refused(tmp_path: Path) -> None:
    exported(tmp_path / "run.zip")
    with pytest.raises(archive.SignatureError, match="is not signed"):
        check(tmp_path / "run.zip", allow(tmp_path, alice=key(tmp_path, "alice")))


def test_a_signature_that_is_none_is_refused(tmp_path: Path) -> None:
    alice = key(tmp_path, "alice")
    files = {**contents(signed(tmp_path / "run.zip", alice)), manifest.SIGNATURE: b"trust me\n"}
    with pytest.raises(archive.SignatureError):
        check(build(tmp_path / "bad.zip", files), allow(tmp_path, alice=alice))


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(archive.SignatureError, match=r"no key .*nowhere"):
        sign(b"", tmp_path / "nowhere")
    path = signed(tmp_path / "run.zip", key(tmp_path, "alice"))
    with pytest.raises(archive.SignatureError, match=r"no file of allowed signers .*nowhere"):
        check(path, tmp_path / "nowhere")


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)]
    subprocess.run(argv, check=True)
    with pytest.raises(archive.SignatureError) as caught:
        sign(b"", path)
    assert "ssh-add" in (caught.value.hint or "")


def test_the_agent_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = key(tmp_path, "alice")
    allowed = allow(tmp_path, alice=alice)
    # the agent's socket must have a short path
    agent = subprocess.run(["ssh-agent", "-c"], check=True, capture_output=True, text=True).stdout
    words = agent.replace(";", " ").split()
    socket, pid = words[words.index("SSH_AUTH_SOCK") + 1], words[words.index("SSH_AGENT_PID") + 1]
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", str(alice)], check=True, capture_output=True)
        alice.unlink()
        assert check(signed(tmp_path / "1.zip", alice.with_suffix(".pub")), allowed).signer == "alice"
        with open_tracking(paths.home()) as tracking:
            archive.export(tracking, [rich_run(tracking)], tmp_path / "2.zip", sign=sign)
        assert check(tmp_path / "2.zip", allowed).signer == "alice"
    finally:
        subprocess.run(["kill", pid], check=True)


def test_git_says_which_key_and_whom_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = key(tmp_path, "alice")
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[user]\n signingKey = {alice}\n[gpg]\n format = ssh\n"
        f'[gpg "ssh"]\n allowedSignersFile = {allow(tmp_path, alice=alice)}\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    with open_tracking(paths.home()) as tracking:
        archive.export(tracking, [rich_run(tracking)], tmp_path / "run.zip", sign=sign)
    assert check(tmp_path / "run.zip", None).signer == "alice"
