"""Echoes, one in order and one that does not care."""

from channels import route
from channels.sessions import enforce_ordering


def accept(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    key = "text" if message.content.get("text") is not None else "bytes"
    message.reply_channel.send({key: message.content[key]})


@enforce_ordering
def ordered_accept(message):
    accept(message)


@enforce_ordering
def ordered_echo(message):
    echo(message)


channel_routing = [
    route("websocket.connect", ordered_accept, path="^/ordered/$"),
    route("websocket.receive", ordered_echo, path="^/ordered/$"),
    route("websocket.connect", accept),
    route("websocket.receive", echo),
]
