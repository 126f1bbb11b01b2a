"""The bridge, for the protocol server of each machine. Where it is and what joins it with others, its variables say.

::

    export CHANNELS_BRIDGE_URL=tcp://127.0.0.1:9100        # where workers connect
    export CHANNELS_BRIDGE_ENGINE=nats://127.0.0.1:4222    # the same for all machines
    uvicorn examples.two_machines.asgi:application

``Bridge("tcp://127.0.0.1:9100", engine="nats://127.0.0.1:4222")`` says the same.
"""

from channels_bridge import Bridge

application = Bridge()
