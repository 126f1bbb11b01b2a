"""Use the installed wheel as its users do, in an environment with nothing else and away from the sources.

Run by `make wheel`, with the environment's own Python, in an empty folder.
"""

import importlib
import importlib.util
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

BIN = Path(sys.executable).parent
START_SECONDS = 30.0
STOP_SECONDS = 20.0

ECHO = '''
"""The smallest WebSocket application: says back what it is told."""

async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})
'''


CHANNELS1 = '''
"""The smallest project of the time of Channels 1, its settings and all."""

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "asgi_redis.RedisChannelLayer", "ROUTING": "old_project.routing"}},
)

from channels.asgi import get_channel_layer


def echo(message):
    key = "text" if "text" in message else "bytes"
    message.reply_channel.send({key: message[key]})


routing = {"websocket.receive": echo}
channel_layer = get_channel_layer()
'''


def check_modules() -> None:
    """Import every module of the wheel; see that none is reachable by a bare name."""
    package = importlib.import_module("channels_bridge")
    importlib.import_module("channels_bridge.worker.process")
    assert "django" not in sys.modules, "Django is loaded where nobody has asked for Channels 1"
    names = [m.name for m in pkgutil.walk_packages(package.__path__, "channels_bridge.")]
    for name in names:
        # The parts of the kit may want what only [test] brings; the kit itself may not. Channels 1 wants a project.
        if not name.startswith(("channels_bridge.testing.", "channels_bridge.worker.legacy.")):
            importlib.import_module(name)
    for folder in ("bridge", "worker", "shared", "testing"):
        assert importlib.util.find_spec(folder) is None, f"`import {folder}` works, and should not"
        assert f"channels_bridge.{folder}" in names, f"channels_bridge.{folder} is missing"
    files = {str(f) for f in metadata.files("channels-bridge") or ()}
    assert "channels_bridge/py.typed" in files, "py.typed is missing: users' type checkers would see nothing"
    script = "channels_bridge/worker/legacy/static/channels/js/websocketbridge.js"
    assert script in files, "websocketbridge.js is missing: pages of Channels 1 projects load it"
    print(f"{len(names)} modules import")


def check_help() -> None:
    """Ask both commands for their help."""
    for command in ("channels-worker", "channels-bridge"):
        asked = [str(BIN / command), "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command} --help: exit {done.returncode}\n{done.stderr}"
        assert "Usage" in done.stdout, f"{command} --help says: {done.stdout!r}"
        print(f"{command} --help answers")


def connect_when_up(port: int, server: subprocess.Popen[bytes]) -> ClientConnection:
    """Connect, again and again until the server and a worker behind it are up."""
    end = time.monotonic() + START_SECONDS
    while True:
        assert server.poll() is None, f"`channels-bridge serve` ended with {server.returncode}"
        try:
            return connect(f"ws://127.0.0.1:{port}/")
        except (OSError, WebSocketException):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def check_echo(module: str, text: str, app: str, *more: str) -> None:
    """Serve an echo with one command, talk to it, and end it as Ctrl-C does."""
    Path(f"{module}.py").write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    options = ["--port", str(port), "--workers", "1", *more]
    command = [str(BIN / "channels-bridge"), "serve", f"{module}:{app}", *options]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        with connect_when_up(port, server) as client:
            for message in ("hello", "ä€😀", b"\x00\xff", "x" * 100_000):
                client.send(message)
                assert client.recv(timeout=10) == message
        print(f"{module} over `channels-bridge serve` answers")
        os.killpg(server.pid, signal.SIGINT)  # as a terminal does: to every process
        code = server.wait(STOP_SECONDS)
        assert code in {0, 128 + signal.SIGINT, -signal.SIGINT}, f"Ctrl-C ended it with {code}"
        check_all_gone(server.pid)
        print("Ctrl-C ends it, workers and all")
    finally:
        if not all_gone(server.pid):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def all_gone(group: int) -> bool:
    """Tell whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def check_all_gone(group: int) -> None:
    """Allow the workers a moment to end after the server, then insist."""
    end = time.monotonic() + STOP_SECONDS
    while not all_gone(group):
        assert time.monotonic() < end, "processes outlive `channels-bridge serve`"
        time.sleep(0.1)


if __name__ == "__main__":
    check_modules()
    check_help()
    check_echo("echo_app", ECHO, "application")
    check_echo("old_project", CHANNELS1, "channel_layer", "--interface", "channels1")
