"""Both halves in one test or notebook. Installed as channels_bridge.testing."""
