"""Which engine a URL means, and what is said where it means none."""

import subprocess
import sys

import pytest

from channels_bridge.bridge.engines import choice
from channels_bridge.bridge.engines.choice import open_engine
from channels_bridge.bridge.engines.local import LocalEngine
from channels_bridge.bridge.engines.thread import ThreadedEngine
from channels_bridge.shared.errors import ConfigurationError


@pytest.mark.parametrize(
    "url",
    ["nats://x", "tls://x", "redis://x", "redis://x/2", "rediss://x", "redis+cluster://x", "rediss+cluster://x"],
)
def test_urls_of_servers(url: str) -> None:
    engine = open_engine(f"{url}?prefix=p")
    assert isinstance(engine, ThreadedEngine)
    assert engine.url == f"{url}?prefix=p"


def test_a_local_url() -> None:
    assert isinstance(open_engine("local://x"), LocalEngine)


@pytest.mark.parametrize("url", ["amqp://me:s3cr3t@x", "s3cr3t", "", "//s3cr3t"])
def test_unknown_schemes_are_refused_with_those_that_there_are(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_engine(url)
    assert "local://, nats://, tls://, redis://, rediss://, redis+cluster://" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(("url", "extra"), [("nats://x", "nats"), ("tls://x", "nats"), ("redis+cluster://x", "redis")])
def test_a_missing_library_is_told_with_what_to_install(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(choice, "find_spec", find_nothing)
    with pytest.raises(ConfigurationError, match=rf"pip install channels-bridge\[{extra}\]"):
        open_engine(url)


def test_a_database_has_a_number() -> None:
    with pytest.raises(ConfigurationError, match="number of a database"):
        open_engine("redis://x/chat")


def test_no_client_is_loaded_before_it_is_needed() -> None:
    """The wheel has to work where neither is installed."""
    program = (
        "import sys; from channels_bridge.bridge.engines import open_engine; open_engine('nats://x');"
        " open_engine('redis://x'); print([name for name in ('nats', 'coredis') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
