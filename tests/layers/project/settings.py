"""The layer is the bridge's, at $CHANNELS_BRIDGE_URL; there is no database."""

from __future__ import annotations

import os

SECRET_KEY = "a test has no secrets"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "layers.project.urls"
ASGI_APPLICATION = "layers.project.asgi.application"
INSTALLED_APPS = ["channels", "layers.project.chat"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_bridge.ChannelLayer",
        "CONFIG": {"url": os.environ.get("CHANNELS_BRIDGE_URL"), "capacity": 100},
    },
    "sync": {
        "BACKEND": "channels_bridge.SyncChannelLayer",
        "CONFIG": {"url": os.environ.get("CHANNELS_BRIDGE_URL")},
    },
}
USE_TZ = True
