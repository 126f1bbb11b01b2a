from channels import route_class
from counters.consumers import Demultiplexer

channel_routing = [
    route_class(Demultiplexer, path=r"^/counters/socket/$"),
]
