"""How a container gets back to this machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from proj import events
from proj.images.engine import EngineError
from proj.model import DockerDeclaration, ImageRuntime, Reach

if TYPE_CHECKING:
    from proj.images.engine import Engine
    from proj.model import Execution

_DESKTOP: Final = "host.docker.internal"
"""What Docker Desktop calls the machine that its engine, a virtual one, runs on."""
_INSTEAD: Final = (
    "What the program logs by MLflow's client is recorded only where PROJ_TRACKING_URI names a server "
    "that it reaches from there."
)


class _NoWayError(Exception):
    """There is no way back to this machine, for the reason given."""


def reach_of(engine: Engine, execution: Execution) -> Reach | None:
    """The address of this machine on the container's network; None, with a warning, where it has none."""
    try:
        return _reach(engine, _network(execution))
    except _NoWayError as error:
        events.warning(f"The container does not reach this machine: {error}. {_INSTEAD}")
        return None


def _reach(engine: Engine, network: str) -> Reach:
    if not engine.is_local:
        raise _NoWayError(f"the docker daemon at {engine.host} is elsewhere")
    if network == "host":
        return Reach()
    if network == "none" or network.startswith("container:"):
        raise _NoWayError(f"its network is {network}")
    try:
        found = engine.ask("GET", f"/networks/{quote(network)}")
    except EngineError as error:
        raise _NoWayError(error.said) from error
    for config in (found.get("IPAM") or {}).get("Config") or ():
        gateway = config.get("Gateway") or _first(config.get("Subnet") or "")
        if ":" not in gateway and gateway:
            return Reach(bind=gateway, host=gateway) if _is_ours(gateway) else Reach(host=_DESKTOP)
    raise _NoWayError(f"the network {network} has no gateway")


def _network(execution: Execution) -> str:
    runtime = execution.runtime
    declared = runtime.docker if isinstance(runtime, ImageRuntime) else None
    network = (declared or DockerDeclaration(image="")).network
    for name, value in execution.docker_args:
        if name.lstrip("-") in ("network", "net"):
            network = value
    return "bridge" if network in (None, "", "default") else str(network)


def _first(subnet: str) -> str:
    """The first address of a network, which the engine takes for its own where nobody chose one."""
    import ipaddress

    try:
        return str(ipaddress.ip_network(subnet)[1])
    except (ValueError, IndexError):
        return ""


def _is_ours(address: str) -> bool:
    """Whether this machine has an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
