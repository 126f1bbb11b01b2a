from channels import include, route
from channels.handler import ViewConsumer

channel_routing = [
    include("firststeps.routing.channel_routing"),
    include("generics.routing.channel_routing", path=r"^/generics"),
    include("generics.routing.background_routing"),
    include("notes.routing.channel_routing"),
    include("later.routing.channel_routing"),
    # Some paths have a consumer of their own; what is left goes to Django's views.
    route("http.request", ViewConsumer()),
]
