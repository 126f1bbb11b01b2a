"""Both halves in one test or notebook. Installed as channels_bridge.testing."""

from channels_bridge.testing.bridged import bridged

__all__ = ["bridged"]
