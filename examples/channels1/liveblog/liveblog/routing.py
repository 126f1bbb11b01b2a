from channels import route
from posts import consumers

STREAM = r"^/live/(?P<slug>[\w-]+)/stream/$"

channel_routing = [
    route("websocket.connect", consumers.start_reading, path=STREAM),
    route("websocket.receive", consumers.reader_speaks, path=STREAM),
    route("websocket.disconnect", consumers.stop_reading, path=STREAM),
]
