"""What runs where: the commands of each machine, as they would be in its systemd units or containers."""

from __future__ import annotations

from dataclasses import dataclass

APP = "examples.two_machines.app:application"
BRIDGE = "examples.two_machines.asgi:application"
SUMMARIES = "examples.two_machines.summaries:summarise"
CONNECTED = "connected to the bridge"


@dataclass(frozen=True, slots=True)
class Part:
    """One command. ``ready`` is a pattern in what it logs; ``environment``: variable -> value."""

    name: str
    command: str
    ready: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Machine:
    """A server with a bridge in it, and workers that are connected to this bridge and to no other."""

    name: str
    host: str
    port: int  # for browsers
    bridge_port: int  # for workers
    workers: int
    has_summaries: bool

    @property
    def url(self) -> str:
        """Where browsers go."""
        return f"http://{self.host}:{self.port}"

    def parts(self, engine: str) -> list[Part]:
        """Give what this machine runs, in the order of their start; any other order works as well."""
        environment = {
            "WALL_MACHINE": self.name,
            "CHANNELS_BRIDGE_URL": f"tcp://{self.host}:{self.bridge_port}",
            "CHANNELS_BRIDGE_ENGINE": engine,
        }
        server = f"uvicorn {BRIDGE} --host {self.host} --port {self.port} --lifespan on --no-access-log"
        commands = [
            ("server", server, "Uvicorn running on"),
            ("workers", f"channels-worker {APP} --processes {self.workers}", f"(?s){f'{CONNECTED}.*' * self.workers}"),
        ]
        if self.has_summaries:
            commands.append(("summaries", f"channels-worker {SUMMARIES} --channels summaries", CONNECTED))
        return [Part(f"{self.name} {what}", command, ready, environment) for what, command, ready in commands]


def nats(port: int) -> Part:
    """Give the engine's server. In real life it is on a machine of its own, and a cluster of three."""
    return Part("nats", f"nats-server --addr 127.0.0.1 --port {port}", "Server is ready", {})
