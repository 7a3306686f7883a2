"""What cannot be meant, in arguments of `docker run` and in `DOCKER_HOST`, is told without a traceback."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from proj.backends.docker import arguments, container
from proj.errors import BackendError, ImageError, UsageError
from proj.images.engine import Engine
from proj.model import DockerDeclaration

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "value"), [("cpus", "inf"), ("pids-limit", "1e999"), ("memory", "9" * 400), ("cpus", "nan")]
)
def test_numbers_without_end_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"The docker argument {name}="):
        arguments.apply({}, [(name, value)])


@pytest.mark.parametrize("name", [name for name in arguments.SETTERS if name != "entrypoint"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_needs_a_value_says_so(name: str, value: str | None) -> None:
    with pytest.raises(UsageError, match=f"^The docker argument {name}: it needs a value"):
        arguments.apply({}, [(name, value)])


@pytest.mark.parametrize("name", [*arguments.SWITCHES, "rm", "tty", "t"])
def test_a_switch_takes_no_value(name: str) -> None:
    with pytest.raises(UsageError, match="it is a switch"):
        arguments.apply({}, [(name, "banana")])
    arguments.apply({}, [(name, None)])
    arguments.apply({}, [(name, "false")])


_REFUSED = [
    ("add-host", "db", "NAME:ADDRESS"),
    ("add-host", "db:nowhere", "nowhere is no IP address"),
    ("blkio-weight", "5", "from 10 to 1000, or 0"),
    ("cap-add", "SYS PTRACE", "SYS_PTRACE"),
    ("cpu-quota", "-5", "1000 or more, or 0, or -1"),
    ("cpu-shares", "1.5", "whole number"),
    ("cpus", "-1", "number of CPUs"),
    ("cpus", "0.001", "at least 0.01"),
    ("cpuset-cpus", "a-b", "0-3"),
    ("device", "relative", "relative is no absolute path"),
    ("device", "/dev/a:/dev/b:rwx", "PATH"),
    ("device-cgroup-rule", "everything", "rmw"),
    ("dns", "resolver", "resolver is no IP address"),
    ("env-file", "/nowhere", "cannot be read: No such file"),
    ("expose", "80:80", "write PORT"),
    ("gpus", "some", "device=0,1"),
    ("gpus", "device=", "device=0,1"),
    ("gpus", "²", "device=0,1"),
    ("ipc", "mine", "none or private"),
    ("label", "=x", "NAME=VALUE"),
    ("memory", "lots", "512m"),
    ("memory", "-1", "512m"),
    ("memory", "4k", "6m"),
    ("memory", "99999999t", "larger than any memory"),
    ("mount", "type=bind,target=/x", "needs source="),
    ("mount", "type=bind,source=data,target=/x", "absolute path"),
    ("mount", "type=bind,source=/data", "target="),
    ("mount", "type=bind,source=/data,target=x", "x is no absolute path"),
    ("mount", "type=nfs,target=/x", "type=bind"),
    ("mount", "source=/a,src=/b,target=/x", "source twice"),
    ("mount", "type=tmpfs,target=/x,source=/a", "type tmpfs has no source"),
    ("mount", "type=bind,source=/a,target=/x,readonly=perhaps", "true or false"),
    ("mount", "type=bind,source=/a,target=/x,bind-propagation=no", "rslave"),
    ("mount", "type=tmpfs,target=/x,tmpfs-mode=999", "octal"),
    ("mount", "type=tmpfs,target=/x,tmpfs-size", "512m"),
    ("mount", "/a:/b", "type=bind"),
    ("mount", ",", "type=bind"),
    ("oom-score-adj", "2000", "from -1000 to 1000"),
    ("pid", "other", "host or container:NAME"),
    ("pids-limit", "-2", "0 or more, or -1"),
    ("platform", "linux amd64", "OS/ARCH"),
    ("publish", "99999:1", "no port 99999"),
    ("publish", "1:99999", "no port 99999"),
    ("publish", "80:0", "no port 0"),
    ("publish", "999.1.1.1:80:80", "999.1.1.1 is no IP address"),
    ("publish", "8000-8010:80", "PORT"),
    ("publish", "٣", "PORT"),
    ("security-opt", "something", "NAME=VALUE"),
    ("security-opt", "seccomp=/nowhere.json", "profile cannot be read"),
    ("shm-size", "-1", "512m"),
    ("storage-opt", "size", "NAME=VALUE"),
    ("sysctl", "net.core.somaxconn", "NAME=VALUE"),
    ("sysctl", "=1", "NAME=VALUE"),
    ("tmpfs", "tmp", "tmp is no absolute path"),
    ("tmpfs", ":size=1g", "no absolute path"),
    ("tmpfs", "/tmp:fast", "no option fast"),
    ("tmpfs", "/tmp:size=big", "512m"),
    ("ulimit", "nofile", "NAME=SOFT"),
    ("ulimit", "files=10", "no limit files"),
    ("ulimit", "nofile=20:10", "20 is above"),
    ("ulimit", "nofile=-1:10", "-1 is above"),
    ("userns", "container:x", "write host"),
    ("volumes-from", "other:rx", "CONTAINER"),
    ("workdir", "src", "src is no absolute path"),
]


@pytest.mark.parametrize(("name", "value", "said"), _REFUSED)
def test_a_value_that_cannot_be_meant_is_refused_with_what_would_be_right(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        arguments.apply({}, [(name, value)])
    assert caught.value.message.startswith(f"The docker argument {name}={value}: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("memory", "1g"), ("memory-swap", "512m")], "less than memory"),
        ([("memory-swap", "512m")], "needs memory"),
        ([("memory", "1g"), ("memory-reservation", "2g")], "more than memory"),
        ([("cpus", "1"), ("cpu-quota", "50000")], "not both"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    given: list[tuple[str, str]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        container.check(None, tuple(given), tmp_path)


_TAKEN = [
    ("add-host", "db=10.0.0.1", {"ExtraHosts": ["db:10.0.0.1"]}),
    ("add-host", "up:host-gateway", {"ExtraHosts": ["up:host-gateway"]}),
    ("add-host", "db:::1", {"ExtraHosts": ["db:::1"]}),
    ("cpus", "1.5", {"NanoCpus": 1_500_000_000}),
    ("cpus", ".5", {"NanoCpus": 500_000_000}),
    ("cpuset-cpus", "0-1,3", {"CpusetCpus": "0-1,3"}),
    (
        "device",
        "/dev/null:rw",
        {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rw"}]},
    ),
    (
        "device",
        "/dev/a:/dev/b",
        {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"}]},
    ),
    (
        "device",
        "nvidia.com/gpu=0",
        {"DeviceRequests": [{"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0"]}]},
    ),
    ("cgroupns", "host", {"CgroupnsMode": "host"}),
    ("memory-swap", "-1", {"MemorySwap": -1}),
    ("memory-swappiness", "0", {"MemorySwappiness": 0}),
    ("storage-opt", "size=10G", {"StorageOpt": {"size": "10G"}}),
    (
        "mount",
        "type=bind,src=/a,dst=/b,ro,bind-propagation=rslave",
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/a",
                    "Target": "/b",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rslave"},
                }
            ]
        },
    ),
    (
        "mount",
        "type=tmpfs,target=/b,tmpfs-size=1m,tmpfs-mode=1770",
        {
            "Mounts": [
                {"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}
            ]
        },
    ),
    (
        "mount",
        "target=/b,readonly=false",
        {"Mounts": [{"Type": "volume", "Target": "/b", "ReadOnly": False}]},
    ),
    ("pids-limit", "-1", {"PidsLimit": -1}),
    ("publish", "[::1]:80:81/udp", {"PortBindings": {"81/udp": [{"HostIp": "::1", "HostPort": "80"}]}}),
    ("publish", "81", {"PortBindings": {"81/tcp": [{"HostIp": "", "HostPort": ""}]}}),
    ("security-opt", "no-new-privileges", {"SecurityOpt": ["no-new-privileges"]}),
    ("security-opt", "systempaths=unconfined", {"MaskedPaths": [], "ReadonlyPaths": []}),
    ("sysctl", "net.core.somaxconn=1024", {"Sysctls": {"net.core.somaxconn": "1024"}}),
    ("tmpfs", "/tmp:size=50%,mode=1777,noexec", {"Tmpfs": {"/tmp": "size=50%,mode=1777,noexec"}}),
    ("ulimit", "nofile=10:-1", {"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": -1}]}),
]


@pytest.mark.parametrize(("name", "value", "meant"), _TAKEN)
def test_what_docker_takes_is_taken(name: str, value: str, meant: dict[str, object]) -> None:
    body: arguments.Body = {}
    arguments.apply(body, [(name, value)])
    assert body["HostConfig"] == meant


def test_variables_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --env-file` reads it."""
    monkeypatch.setenv("HERE", "x")
    monkeypatch.delenv("NOT_HERE", raising=False)
    file = tmp_path / "env"
    file.write_text("# no variable\n\nA=1\n  B='quoted' = #all\nEMPTY=\nHERE\nNOT_HERE\n")
    body: arguments.Body = {}
    arguments.apply(body, [("env-file", str(file)), ("e", "A=2")])
    assert body["Env"] == ["A=1", "B='quoted' = #all", "EMPTY=", "HERE=x", "A=2"]
    body = {"Env": ["A=0"]}
    arguments.apply(body, [("e", "A=2"), ("e", "C=3"), ("--env-file", str(file))])
    assert [each for each in body["Env"] if each[0] in "AC"] == ["A=0", "A=1", "A=2", "C=3"]
    file.write_text("TOKEN canary\n")
    with pytest.raises(UsageError, match="has a line that is no NAME=VALUE") as caught:
        arguments.apply({}, [("env-file", str(file))])
    assert "canary" not in caught.value.message


def test_lines_of_a_file_of_variables_end_as_docker_s(tmp_path: Path) -> None:
    """At line feeds, with a carriage return before or not; a mark of the encoding is no part of a name."""
    file = tmp_path / "env"
    value = "a\u2028b\x0bc\x0cd\x85e\rf"
    file.write_bytes(f"\ufeffA={value}\r\nB=1\r\n".encode())
    body: arguments.Body = {}
    arguments.apply(body, [("env-file", str(file))])
    assert body["Env"] == [f"A={value}", "B=1"]


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("env-file={}/pipe", "it is no regular file"),
        ("security-opt=seccomp={}/pipe", "it is no regular file"),
        ("env-file=/dev/null", "it is no regular file"),
        ("env-file={}", "it cannot be read: Is a directory"),
        ("env-file=~nosuchuser/x", "it cannot be read: No such file"),
        ("security-opt=seccomp=~nosuchuser/x", "the profile cannot be read: .*No such file"),
    ],
)
def test_a_file_that_cannot_be_read_again_is_refused(argument: str, told: str, tmp_path: Path) -> None:
    """A pipe would be empty the second time, and block before that."""
    os.mkfifo(tmp_path / "pipe")
    name, _, value = argument.format(tmp_path).partition("=")
    with pytest.raises(UsageError, match=told):
        arguments.apply({}, arguments.with_whole_paths([(name, value)]))


def test_files_are_named_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in the background is looked after in another folder."""
    monkeypatch.chdir(tmp_path)
    given = [
        ("env-file", "e"), ("--security-opt", "seccomp=p.json"), ("security-opt", "seccomp=unconfined"),
        ("security-opt", "no-new-privileges"), ("v", "./a:/b"), ("init", None),
    ]  # fmt: skip
    whole = [("env-file", f"{tmp_path}/e"), ("--security-opt", f"seccomp={tmp_path}/p.json"), *given[2:]]
    assert list(arguments.with_whole_paths(given)) == whole


def test_a_security_profile_is_given_by_its_content(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
    body: arguments.Body = {}
    arguments.apply(body, [("security-opt", f"seccomp={profile}")])
    assert body["HostConfig"]["SecurityOpt"] == ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']


def test_the_user_s_gpus_replace_the_project_s_and_leave_other_devices() -> None:
    body: arguments.Body = {}
    given = [("gpus", "1"), ("device", "vendor.com/net=a"), ("gpus", "all")]
    arguments.apply(body, given)
    counts = [request["Count"] for request in body["HostConfig"]["DeviceRequests"]]
    assert counts == [0, -1]


def test_a_value_of_a_variable_is_no_part_of_the_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        arguments.apply({}, [("e", "=canary")])
    assert "canary" not in caught.value.message
    with pytest.raises(UsageError, match="NOT_HERE is not set"):
        container.check(None, (("env", "NOT_HERE"),), tmp_path)


def test_a_setting_of_the_project_is_told_by_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^`shm_size` of `docker_env` is 5q: it is no size"):
        container.check(DockerDeclaration(image="image", shm_size="5q"), (), tmp_path)
    with pytest.raises(BackendError, match="copies NOT_HERE"):
        container.check(DockerDeclaration(image="image", environment=(("NOT_HERE", None),)), (), tmp_path)


@pytest.mark.parametrize("host", ["tcp://h:port", "tcp://h:99999", "tcp://[::1"])
def test_an_address_that_is_none_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ImageError, match="which is no address"):
        Engine()
