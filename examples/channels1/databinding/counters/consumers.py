from channels.generic.websockets import WebsocketDemultiplexer

from .bindings import GROUP, CounterBinding


class Demultiplexer(WebsocketDemultiplexer):
    http_user = True
    consumers = {
        "counter": CounterBinding.consumer,
    }
    groups = [GROUP]
