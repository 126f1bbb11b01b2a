"""Models whose changes go to sockets, and the other way round."""
