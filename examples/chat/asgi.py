"""The bridge for the chat in a protocol server of your own, in as many processes as you like.

::

    export CHANNELS_BRIDGE_URL=ipc:///tmp/chat/
    uvicorn examples.chat.asgi:application --workers 2
    channels-worker examples.chat.app:application -c 2

Sockets of one room may be in any of the server's processes, their consumers in any of the workers.
"""

from channels_bridge import Bridge

application = Bridge()
