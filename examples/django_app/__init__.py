"""A Django project with consumers of Channels 4, unmodified; ``asgi`` says how to run it."""
