"""What is imported, or named in settings, beside Channels 1 itself: later Channels, layers, servers."""

from __future__ import annotations

from .findings import RUNS, Rule

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
DERIVED = Rule(
    "differs",
    "It is served, as its base is a layer over the bridge now; what it does with the broker itself finds none.",
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
BOTH = ("channels_redis.",)  # a name that there was at the end of Channels 1, and is in later ones
LATER_BACKENDS = ("channels_redis.", "channels.layers.", "channels_rabbitmq.", "channels_postgres.")

# Layers of the time that projects make themselves, as in tests, and what of them there is.
LAYER = Rule("differs", "It is a layer over the bridge now: arguments about its broker are taken, and without effect.")
LAYERS: dict[str, Rule] = {
    **{f"asgi_redis.Redis{kind}ChannelLayer": LAYER for kind in ("", "Local", "Sentinel")},
    "asgi_ipc.IPCChannelLayer": LAYER,
    **{f"asgi_rabbitmq.Rabbitmq{kind}ChannelLayer": LAYER for kind in ("", "Local")},
    "asgi_redis": RUNS,
    "asgi_ipc": RUNS,
    "asgi_rabbitmq": RUNS,
    "asgiref.inmemory": RUNS,
    "asgiref.inmemory.ChannelLayer": RUNS,
    "asgiref.base_layer": RUNS,
    "asgiref.base_layer.BaseChannelLayer": RUNS,
}
SERVED = frozenset({OURS, *(name for name, rule in LAYERS.items() if rule is LAYER)})  # what a layer may derive from
_SERVER = "daphne serves no layers any more: start channels-bridge serve, or put a Bridge into a server of your own."
_LAYERS = "There is nothing of this layer but its class: take that, or channels.asgi.get_channel_layer()."
# Packages around Channels 1, but for the names above.
AROUND: dict[str, Rule] = {
    "asgi_redis": Rule("change", _LAYERS),
    "asgi_ipc": Rule("change", _LAYERS),
    "asgi_rabbitmq": Rule("change", _LAYERS),
    "asgiref.base_layer": Rule("change", _LAYERS),
    "asgiref.inmemory": Rule("change", _LAYERS),
    "asgiref.conformance": Rule("change", "asgiref has no tests of layers any more: remove these."),
    "daphne": Rule("change", _SERVER),
    "channels_redis": LATER,
}
