"""The application: ``uvicorn layers.project.asgi:application``, or ``channels-worker`` behind a bridge."""

import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "layers.project.settings")
http = get_asgi_application()  # sets Django up: what is imported below needs that

from layers.project.chat.consumers import Thumbnails  # noqa: E402
from layers.project.urls import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(websocket_urlpatterns),
        "channel": ChannelNameRouter({"thumbnails": Thumbnails.as_asgi()}),
    }
)
