"""The bridge, for a protocol server; workers reach it at $CHANNELS_BRIDGE_URL."""

from channels_bridge import Bridge

application = Bridge()
