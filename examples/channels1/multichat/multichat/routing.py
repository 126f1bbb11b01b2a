from channels import include

channel_routing = [
    # What browsers do. Whatever is below this path is ours, "/rooms/socket/" at present.
    include("rooms.routing.socket_routing", path=r"^/rooms/socket"),
    # What they have asked for: messages that the consumers above send, with no path.
    include("rooms.routing.command_routing"),
]
