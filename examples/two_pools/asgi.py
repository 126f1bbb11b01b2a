"""A CPU-heavy path in a pool of its own: pictures may take what they take, the sockets beside them do not wait.

One command does for trying it::

    channels-bridge serve examples.two_pools.app:application --pool cpu=2 --route /render/=cpu

In a server of your own, with workers of both kinds as processes that you start, stop and scale by themselves::

    export CHANNELS_BRIDGE_URL=ipc:///tmp/two-pools/
    uvicorn examples.two_pools.asgi:application
    channels-worker examples.two_pools.app:application                          # the pool "default": all but /render/
    channels-worker examples.two_pools.app:application -Q cpu -c 2 --threads 1  # /render/, two pictures at a time

then http://127.0.0.1:8000/.
"""

from channels_bridge import Bridge

application = Bridge(pools={"/render/": "cpu"})
