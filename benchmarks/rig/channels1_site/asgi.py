"""What daphne was given, and channels-worker is."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from channels.asgi import get_channel_layer

channel_layer = get_channel_layer()
