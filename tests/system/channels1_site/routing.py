"""Commands that clients give: each does what a consumer of Channels 1 may do, or what ended its worker."""

import os
import time

from channels import Channel, Group, route
from channels.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException


def say(message, text):
    message.reply_channel.send({"text": text})


def connect(message):
    if message.content["path"] == "/denied/":
        raise DenyConnection
    if message.content["path"] == "/silent/":
        return
    if message.content["path"] == "/misspelt/":
        message.reply_channel.send({"acept": True})
        return
    Group("all").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive(message):
    command, _, rest = message.content["text"].partition(" ")
    COMMANDS[command](message, rest)


def echo(message, rest):
    say(message, f"{rest} {message.content['order']} {os.getpid()}")


def slow(message, rest):
    time.sleep(float(rest))
    say(message, f"slept {os.getpid()}")


def deny(message, rest):
    raise DenyConnection


def close(message, rest):
    raise WebsocketCloseException(int(rest) if rest else None)


def flood(message, rest):
    for _ in range(int(rest)):
        Channel("nobody.listens").send({"x": 1})
    say(message, "flooded")


def number(message, rest):
    Channel("numbers").send({"number": 7, "raw": b"\xff", "reply_channel": message.reply_channel.name})


def task(message, rest):
    Channel("tasks").send({"rest": rest, "reply_channel": message.reply_channel.name})


def unknown(message, rest):
    Channel("tasks").send({"neither": 1})


def big(message, rest):
    say(message, "x" * int(rest))


def unsendable(message, rest):
    say(message, "before")
    message.reply_channel.send({"text": object()})
    say(message, "behind")


COMMANDS = {f.__name__: f for f in (echo, slow, deny, close, flood, number, task, unknown, big, unsendable)}


def task_consumer(message):
    if message.content["rest"] == "later" and "__retries__" not in message.content:
        raise ConsumeLater
    say(message, f"did {message.content['rest']} {os.getpid()}")


def number_consumer(message):
    say(message, "numbered")


def loose(message):
    receive(message)


loose.ordered = False

channel_routing = [
    route("websocket.connect", connect),
    route("websocket.receive", loose, path="^/loose/"),
    route("websocket.receive", receive),
    route("tasks", task_consumer, rest="^.+"),
    route("numbers", number_consumer, number="^8", raw="^x"),
    route("numbers", number_consumer, raw=".", number="^7"),
]
