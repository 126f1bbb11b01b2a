"""A small Django project with consumers of Channels 4, a background consumer, views and commands that send."""
