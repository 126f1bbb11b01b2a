import os

from liveblog.settings import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_rabbitmq.RabbitmqChannelLayer",
        "CONFIG": {"url": os.environ.get("RABBITMQ_URL", "amqp://guest:guest@localhost:5672/%2F")},
        "ROUTING": "liveblog.routing.channel_routing",
    },
}
