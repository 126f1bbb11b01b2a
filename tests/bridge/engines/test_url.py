"""URLs of engines: taken apart, checked, and shown without secrets."""

import ssl
from pathlib import Path

import pytest

from channels_bridge.bridge.engines.url import EngineUrl, parse
from channels_bridge.shared.errors import ConfigurationError
from servers import make_certificate

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "parsed", "shown"),
    [
        ("nats://one", EngineUrl("nats", (("one", 0),)), "nats://one"),
        (
            f"nats://me:{SECRET}@one:4222,two,[::1]:5",
            EngineUrl("nats", (("one", 4222), ("two", 0), ("::1", 5)), "", "me", SECRET),
            "nats://one:4222,two,[::1]:5",
        ),
        (f"nats://{SECRET}@one", EngineUrl("nats", (("one", 0),), "", SECRET), "nats://one"),
        (
            f"redis://:{SECRET}%40%2F%23@one/3?prefix=chat.prod",
            EngineUrl("redis", (("one", 0),), "3", "", f"{SECRET}@/#", {"prefix": "chat.prod"}),
            "redis://one/3?prefix=chat.prod",
        ),
        (f"redis://a@b:{SECRET}@one", EngineUrl("redis", (("one", 0),), "", "a@b", SECRET), "redis://one"),
    ],
)
def test_a_url_is_taken_apart_and_shown_without_secrets(url: str, parsed: EngineUrl, shown: str) -> None:
    assert parse(url) == parsed
    assert parse(url).shown == shown
    assert SECRET not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nats://", "host"),
        (f"nats://me:{SECRET}@", "host"),
        (f"nats://me:{SECRET}@one:port", "host"),
        (f"nats://me:{SECRET}@one,,two", "host"),
        (f"nats://me:{SECRET}/x@one", "host"),
        (f"nats://me:x#{SECRET}@one", "%23"),
        (f"nats://me:{SECRET}@[::1", "malformed"),
        (f"nats://me:{SECRET}@one?token={SECRET}", "'token'"),
        (f"nats://me:{SECRET}@one?prefix=a..b", "prefix"),
        ("nats://one?prefix=", "prefix"),
        ("nats://one?prefix=*", "prefix"),
        ("nats://one?prefix=a b", "prefix"),
        ("nats://one?prefix={a}", "prefix"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert complaint in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_secrets_are_replaced_in_texts_of_others() -> None:
    assert parse(f"nats://me:{SECRET}@x").hide(f"user me, password {SECRET}") == "user me, password ***"
    assert parse(f"nats://{SECRET}@x").hide(f"token {SECRET}") == "token ***"
    assert parse("nats://x").hide("nothing") == "nothing"


def test_tls_verifies_the_server_by_the_given_authority(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    context = parse(f"tls://x?ca={made.cert}&cert={made.cert}&key={made.key}").tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(ConfigurationError, match="cannot be used"):
        parse(f"tls://x?ca={tmp_path / 'missing'}").tls()
