"""Files that look like secrets: by their names, and by what stands in them."""

from __future__ import annotations

import re

ENCRYPTED = "it looks like a secret: the repository has it encrypted"
"""Why a file is left out that a filter such as git-crypt's commits encrypted only."""

_TEMPLATES = (".example", ".sample", ".template", ".dist", ".tmpl", ".pub")
_NAMES = frozenset(
    (
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"),
        *(".netrc", "_netrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd", ".envrc"),
        *(".databrickscfg", ".boto", ".s3cfg", ".dockercfg", "kaggle.json", "kubeconfig"),
        *("application_default_credentials.json", "credentials.json", "service_account.json"),
        *("service-account.json", "secrets.toml"),
    )
)
_ENDINGS = (".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".ovpn")
_PATHS = (".aws/credentials", ".docker/config.json", ".kube/config", ".azure/accesstokens.json")
_PREFIXES = ("client_secret", "service-account-", "service_account_")

_PATTERNS: tuple[tuple[str, bytes, bytes], ...] = (
    (
        "a private key",
        b"PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|\s)+(?:[\w-]+: .*\s+)*[\w+/]{30}",
    ),
    ("a PuTTY private key", b"PuTTY-User-Key-File-", rb"PuTTY-User-Key-File-\d:"),
    ("an AWS access key", b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b(?<!EXAMPLE)"),
    ("an AWS access key", b"ASIA", rb"\bASIA[0-9A-Z]{16}\b(?<!EXAMPLE)"),
    (
        "an AWS secret",
        b"aws_secret_access_key",
        rb"aws_secret_access_key['\"]?\s*[=:]\s*['\"]?[A-Za-z0-9/+]{40}\b(?<!EXAMPLEKEY)",
    ),
    ("a GitHub token", b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("a GitHub token", b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{50,}"),
    ("a GitLab token", b"glpat-", rb"\bglpat-[\w-]{20,}"),
    ("a Slack token", b"xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("a Google API key", b"AIza", rb"\bAIza[0-9A-Za-z_-]{35}"),
    ("a Stripe key", b"k_live_", rb"\b[sr]k_live_[0-9A-Za-z]{20,}"),
    ("a Hugging Face token", b"hf_", rb"\bhf_[A-Za-z0-9]{30,}\b"),
    ("an Anthropic key", b"sk-ant-", rb"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("an OpenAI key", b"sk-", rb"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{48}\b)"),
    ("a package index token", b"pypi-AgE", rb"\bpypi-AgE[\w-]{50,}"),
    ("an npm token", b"npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a SendGrid key", b"SG.", rb"\bSG\.[\w-]{22}\.[\w-]{43}"),
    ("a Databricks token", b"dapi", rb"\bdapi[0-9a-f]{32}\b"),
    ("an Azure storage key", b"AccountKey=", rb"AccountKey=[A-Za-z0-9+/]{80,}={0,2}"),
    ("a Weights & Biases key", b"WANDB_API_KEY", rb"WANDB_API_KEY['\"]?\]?\s*[=:]\s*['\"]?[0-9a-f]{40}\b"),
)
"""What it is, bytes without which the pattern is not tried, the pattern."""

_MOST_BYTES = 8 * 1024**2
_SNIFFED_BYTES = 8000


def secret_by_name(path: str) -> str | None:
    """Say why a file's name is one that secrets have; None for any other name."""
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    if name.endswith(_TEMPLATES):
        return None
    if name == ".env" or name.startswith(".env."):
        return "a file of variables"
    known = (
        name in _NAMES
        or name.endswith(_ENDINGS)
        or any(f"/{lowered}".endswith(f"/{each}") for each in _PATHS)
        or (name.startswith(_PREFIXES) and name.endswith(".json"))
    )
    return "its name is one that credentials have" if known else None


def secrets_in(content: bytes) -> dict[bytes, str]:
    """Find what looks like keys and tokens in a text: each of them, and what it is."""
    if len(content) > _MOST_BYTES or b"\0" in content[:_SNIFFED_BYTES]:
        return {}
    return {
        match.group(): what
        for what, literal, pattern in _PATTERNS
        if literal in content
        for match in re.finditer(pattern, content)
    }
