"""A wall that people on two machines share: a bridge and workers on each, NATS between; README.md says more."""
