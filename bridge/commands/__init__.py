"""The commands of ``channels-bridge`` that look at a running system and steer it."""
