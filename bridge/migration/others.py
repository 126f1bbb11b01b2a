"""What is imported, or named in settings, beside Channels 1 itself: later Channels, layers, servers."""

from __future__ import annotations

from .findings import Rule

LATER = Rule(
    "change",
    "This is not Channels 1: run it as an ASGI application, by channels-worker in a pool of its own.",
)
MAPPED = Rule(
    "differs",
    "The bridge takes its place, without a broker; of CONFIG count expiry, group_expiry, capacity, channel_capacity.",
)
UNMAPPED = Rule(
    "change",
    'No such layer reaches the bridge: write "BACKEND": "channels_bridge.worker.legacy.ChannelLayer", without CONFIG.',
)
OURS = "channels_bridge.worker.legacy.ChannelLayer"
FORMER = ("asgi_redis.", "asgi_ipc.", "asgi_rabbitmq.", "asgiref.inmemory.")

# Modules that Channels 2 and later have, and names in modules that both have.
LATER_MODULES = (
    "channels.consumer",
    "channels.db",
    "channels.generic.http",
    "channels.generic.websocket",
    "channels.layers",
    "channels.middleware",
    "channels.security.websocket",
    "channels.testing",
)
LATER_NAMES = frozenset(
    {
        "channels.auth.AuthMiddleware",
        "channels.auth.AuthMiddlewareStack",
        "channels.auth.get_user",
        "channels.auth.login",
        "channels.auth.logout",
        "channels.exceptions.AcceptConnection",
        "channels.exceptions.ChannelFull",
        "channels.exceptions.InvalidChannelLayerError",
        "channels.exceptions.MessageTooLarge",
        "channels.exceptions.StopConsumer",
        "channels.routing.ChannelNameRouter",
        "channels.routing.ProtocolTypeRouter",
        "channels.routing.URLRouter",
        "channels.routing.get_default_application",
        "channels.sessions.CookieMiddleware",
        "channels.sessions.SessionMiddleware",
        "channels.sessions.SessionMiddlewareStack",
    }
)
LATER_BACKENDS = ("channels_redis.", "channels.layers.", "channels_rabbitmq.", "channels_postgres.")

# Packages around Channels 1 whose objects projects make themselves.
AROUND: dict[str, Rule] = {
    "asgi_redis": Rule(
        "change",
        "There is no Redis layer here: take that of the settings, by channels.asgi.get_channel_layer().",
    ),
    "asgi_ipc": Rule(
        "change",
        "There is no layer in shared memory here: take that of the settings, by channels.asgi.get_channel_layer().",
    ),
    "asgi_rabbitmq": Rule(
        "change",
        "There is no RabbitMQ layer here: take that of the settings, by channels.asgi.get_channel_layer().",
    ),
    "asgiref.base_layer": Rule(
        "change", "asgiref has no layers any more: write channels_bridge.worker.legacy.ChannelLayer for this one."
    ),
    "asgiref.inmemory": Rule(
        "change",
        "asgiref has no layers any more: in tests take channels.test.ChannelTestCase, which has one in memory.",
    ),
    "asgiref.conformance": Rule("change", "asgiref has no layers any more, nor tests of them: remove these."),
    "daphne": Rule(
        "change",
        "daphne serves no layers any more: start channels-bridge serve, or put a Bridge into a server of your own.",
    ),
    "channels_redis": LATER,
}
