from __future__ import annotations

import pytest

from proj.source.secretfiles import secret_by_name, secrets_in

BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE"


@pytest.mark.parametrize(
    "path",
    [
        *(".env", "a/.env.local", "id_rsa", "keys/id_ed25519", ".netrc", ".pypirc", ".git-credentials"),
        *(".aws/credentials", "home/.docker/config.json", "client_secret_12.json", "a.p12", "B.PFX"),
        *(".streamlit/secrets.toml", "kaggle.json", "service-account-prod.json"),
    ],
)
def test_names_of_secrets(path: str) -> None:
    assert secret_by_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            ".env.example",
            ".env.sample",
            "id_rsa.pub",
            "environment.py",
            "env",
            "config.json",
            "credentials.py",
        ),
        *("python_env.yaml", "docker/config.json", "x.pem", "x.key", "my.environment", "notes/netrc"),
    ],
)
def test_names_of_others(path: str) -> None:
    assert secret_by_name(path) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}\n"
            for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")
        ),
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{BODY}\n",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{BODY}\n",
        f'{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{BODY}\\n"}}',
        f"-----BEGIN PRIVATE KEY-----\r\n{BODY}\r\n",
        *("AKIA" + "Z" * 16, "ghp_" + "a" * 36, "github_pat_" + "a" * 60, "glpat-" + "a" * 20),
        *("xoxb-" + "1" * 12, "AIza" + "b" * 35, "sk_live_" + "c" * 24, "hf_" + "d" * 34),
        *(
            "sk-ant-" + "e" * 40,
            "sk-" + "f" * 48,
            "sk-proj-" + "g" * 50,
            "npm_" + "h" * 36,
            "dapi" + "0" * 32,
        ),
        f"aws_secret_access_key = {'A' * 40}",
        f"WANDB_API_KEY={'0' * 40}",
        f'os.environ["WANDB_API_KEY"] = "{"0" * 40}"',
        f"AccountKey={'a' * 86}==",
    ],
)
def test_keys_and_tokens_in_a_text(text: str) -> None:
    assert secrets_in(f"before {text} after\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        *("-----BEGIN PUBLIC KEY-----\n" + BODY, "-----BEGIN CERTIFICATE-----\n" + BODY),
        *(
            'if "-----BEGIN PRIVATE KEY-----" in text:',
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_short",
            "task-ant-colony",
        ),
        *("risk-" + "a" * 10, "hf_hub_download", "the sk-learn way", "git@github.com", "SG.x"),
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ],
)
def test_other_texts(text: str) -> None:
    assert secrets_in(f"before {text} after\n".encode()) == {}


def test_what_is_no_text_is_not_looked_into() -> None:
    assert secrets_in(b"\0" + b"ghp_" + b"a" * 36) == {}
