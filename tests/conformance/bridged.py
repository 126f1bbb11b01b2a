"""What a protocol server runs in front of the probe: the bridge and nothing else."""

from __future__ import annotations

import os

from channels_bridge import Bridge

application = Bridge(os.environ["CHANNELS_BRIDGE_URL"])
