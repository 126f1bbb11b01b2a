"""The bridge, for a protocol server; workers reach it at $CHANNELS_BRIDGE_URL. It takes $BENCH_CONNECTIONS at once."""

import os

from channels_bridge import Bridge, Config

application = Bridge(config=Config(max_connections=int(os.environ.get("BENCH_CONNECTIONS", "0"))))
