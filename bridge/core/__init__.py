"""The bridge's decisions, and nothing else: no await, no I/O, no clock, no log."""
