"""A chat in rooms: ``app`` with async consumers, ``sync_app`` with sync ones, ``asgi`` for a server of your own."""
