"""Quick sockets and slow pictures, each in a pool of its own; ``asgi`` says how to run them."""
