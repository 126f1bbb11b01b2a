"""Who does it: the machine and the worker process, for the page to show."""

import os
import socket

MACHINE = os.environ.get("WALL_MACHINE") or socket.gethostname()
HERE = f"machine {MACHINE}, worker {os.getpid()}"
