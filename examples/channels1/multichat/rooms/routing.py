from channels import route

from . import consumers

socket_routing = [
    route("websocket.connect", consumers.ws_connect),
    route("websocket.receive", consumers.ws_receive),
    route("websocket.disconnect", consumers.ws_disconnect),
]

command_routing = [
    route("chat.receive", consumers.join, command="^join$"),
    route("chat.receive", consumers.leave, command="^leave$"),
    route("chat.receive", consumers.say, command="^say$"),
]
