"""A Django project with consumers of Channels 4 that knows nothing of bridges.

::

    channels-bridge serve examples.django_app.asgi:application
    daphne examples.django_app.asgi:application                # it works the same without a bridge

then http://127.0.0.1:8000/. Channels' in-memory layer reaches the sockets of one process, so one worker has to do here.
"""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_app.settings")
http = get_asgi_application()  # sets Django up: what is imported below needs that

from .urls import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(URLRouter(websocket_urlpatterns)),
    }
)
