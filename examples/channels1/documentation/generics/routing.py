from channels import route_class

from .consumers import Calculator, Demultiplexer, Repeater, Tally

channel_routing = [
    # Behind the path of the include.
    Repeater.as_route(path=r"^/repeater/(?P<room>[a-z]+)/$"),
    Repeater.as_route(path=r"^/twice/(?P<room>[a-z]+)/$", attrs={"times": 2}),
    route_class(Calculator, path=r"^/calculator/$"),
    route_class(Demultiplexer, path=r"^/streams/$"),
]

background_routing = [
    route_class(Tally),
]
