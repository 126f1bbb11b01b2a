"""Applications to run and to read. Each says in its first lines how to start it; tests/examples runs them all.

Start them at the top of the repository, where ``examples`` can be imported; ``make demo`` starts the chat.
"""
