"""On PYTHONPATH of the programs that one with the aliases of Channels 1 starts."""
