from channels import Channel
from channels.generic import BaseConsumer
from channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)


class Repeater(WebsocketConsumer):
    """Says what it hears to all in its room, in order; bytes to the sender only."""

    http_user = True
    strict_ordering = True
    times = 1

    def connection_groups(self, room, **kwargs):
        return ["repeater-%s" % room]

    def connect(self, message, room, **kwargs):
        self.message.reply_channel.send({"accept": True})
        self.send(text="Welcome to %s, %s" % (room, message.user.username or "nobody"))

    def receive(self, text=None, bytes=None, **kwargs):
        if text == "end":
            self.close(status=4002)
        elif text is not None:
            self.group_send("repeater-%s" % kwargs["room"], text=" ".join([text] * self.times))
        else:
            self.send(bytes=bytes[::-1])

    def disconnect(self, message, room, **kwargs):
        self.group_send("repeater-%s" % room, text="somebody has left")


class Calculator(JsonWebsocketConsumer):
    """Takes {"add": [numbers]} and {"tally": number}."""

    def receive(self, content, **kwargs):
        if "add" in content:
            self.send({"sum": sum(content["add"])})
        else:
            order = {"reply_channel": self.message.reply_channel.name, "number": content["tally"]}
            Channel("tally.square" if content.get("square") else "tally.double").send(order)


class Tally(BaseConsumer):
    """Consumers of two channels of the background, as methods of one class."""

    method_mapping = {
        "tally.double": "double",
        "tally.square": "square",
    }

    def double(self, message, **kwargs):
        self.answer(2 * message["number"])

    def square(self, message, **kwargs):
        self.answer(message["number"] ** 2)

    def answer(self, number):
        self.message.reply_channel.send({"text": JsonWebsocketConsumer.encode_json({"tally": number})})


# Several consumers on one socket: frames are {"stream": name, "payload": {...}}.


class Sums(JsonWebsocketConsumer):
    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send({"sum": sum(content["add"])})


class Shouts(JsonWebsocketConsumer):
    groups = ["shouts"]

    def connect(self, message, multiplexer, **kwargs):
        multiplexer.send({"status": "listening"})

    def receive(self, content, multiplexer, **kwargs):
        WebsocketMultiplexer.group_send("shouts", multiplexer.stream, {"shout": content["text"].upper()})


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {
        "sums": Sums,
        "shouts": Shouts,
    }
