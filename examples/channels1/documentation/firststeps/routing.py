from channels import route

from . import consumers

channel_routing = [
    route("http.request", consumers.hello, path=r"^/hello/", method="^GET$"),
    # One line for all that comes in, and one for all that goes.
    route("websocket.connect", consumers.chat_connect, path=r"^/chat/$"),
    route("websocket.receive", consumers.chat_message, path=r"^/chat/$"),
    route("websocket.disconnect", consumers.chat_disconnect, path=r"^/chat/$"),
    # Rooms.
    route("websocket.connect", consumers.room_connect, path=r"^/room/(?P<room>[a-z]+)/$"),
    route("websocket.receive", consumers.room_message, path=r"^/room/"),
    route("websocket.disconnect", consumers.room_disconnect, path=r"^/room/"),
    # Users.
    route("websocket.connect", consumers.desk_connect, path=r"^/desk/$"),
    route("websocket.receive", consumers.desk_message, path=r"^/desk/$"),
    route("websocket.disconnect", consumers.desk_disconnect, path=r"^/desk/$"),
    # Sessions of the site.
    route("websocket.connect", consumers.visits_connect, path=r"^/visits/$"),
    route("websocket.connect", consumers.name_connect, path=r"^/name/$"),
    route("websocket.receive", consumers.name_message, path=r"^/name/$"),
    # One after the other.
    route("websocket.connect", consumers.count_connect, path=r"^/count/$"),
    route("websocket.receive", consumers.count_message, path=r"^/count/$"),
    # Who may come in, and how one goes.
    route("websocket.connect", consumers.home_connect, path=r"^/home/$"),
    route("websocket.connect", consumers.door_connect, path=r"^/door/$"),
    route("websocket.receive", consumers.door_message, path=r"^/door/$"),
]
