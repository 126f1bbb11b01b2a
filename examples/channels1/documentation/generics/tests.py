from channels import Channel, route, route_class
from channels.test import ChannelTestCase, Client, WSClient, apply_routes

from .consumers import Calculator, Demultiplexer, Repeater, Tally


class RepeaterTests(ChannelTestCase):
    def test_text_goes_to_the_room_and_bytes_come_back(self):
        client, other = WSClient(ordered=True), WSClient(ordered=True)
        with apply_routes([Repeater.as_route(path=r"^/(?P<room>[a-z]+)/$")]):
            for one in (client, other):
                one.send_and_consume("websocket.connect", path="/kitchen/")
                self.assertEqual(one.receive(json=False), "Welcome to kitchen, nobody")
            client.send_and_consume("websocket.receive", text="hello", path="/kitchen/")
            client.send_and_consume("websocket.receive", {"bytes": b"abc"}, path="/kitchen/")
            other.send_and_consume("websocket.disconnect", path="/kitchen/")
        self.assertEqual(client.receive(json=False), "hello")
        self.assertEqual(client.get_next_message(client.reply_channel).content, {"bytes": b"cba"})
        self.assertEqual(client.receive(json=False), "somebody has left")
        self.assertEqual(other.receive(json=False), "hello")
        self.assertIsNone(other.receive())

    @apply_routes([Repeater.as_route(path=r"^/(?P<room>[a-z]+)/$", attrs={"times": 3})])
    def test_attributes_may_be_set_in_the_routing(self):
        client = WSClient(ordered=True)
        client.send_and_consume("websocket.connect", path="/hall/")
        client.receive(json=False)
        client.send_and_consume("websocket.receive", text="ho", path="/hall/")
        self.assertEqual(client.receive(json=False), "ho ho ho")


@apply_routes([route_class(Calculator, path="^/calculator/$"), route_class(Tally)])
class CalculatorTests(ChannelTestCase):
    def test_json_in_and_out(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/calculator/")
        client.send_and_consume("websocket.receive", text={"add": [1, 2, 3]}, path="/calculator/")
        self.assertEqual(client.receive(), {"sum": 6})

    def test_the_background_answers(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/calculator/")
        client.send_and_consume("websocket.receive", text={"tally": 4, "square": True}, path="/calculator/")
        self.assertIsNone(client.receive())
        client.consume("tally.square")
        self.assertEqual(client.receive(), {"tally": 16})


class TallyTests(ChannelTestCase):
    def test_what_is_sent_waits_on_its_channel(self):
        Channel("tally.double").send({"number": 1}, immediately=True)
        message = self.get_next_message("tally.double", require=True)
        self.assertEqual(message.content, {"number": 1})
        self.assertEqual(message.channel.name, "tally.double")
        self.assertIsNone(self.get_next_message("tally.double"))

    def test_a_class_has_several_channels(self):
        client = Client()
        for channel, answer in (("tally.double", 10), ("tally.square", 25)):
            client.send_and_consume(channel, {"number": 5, "reply_channel": client.reply_channel})
            self.assertEqual(client.receive(), {"text": '{"tally": %d}' % answer})

    def test_consumers_may_be_called(self):
        seen = []

        def listen(message, who):
            seen.append((who, message["number"]))

        with apply_routes([route("tally.listen", listen, who="^(?P<who>ada|grace)$")]):
            Client().send_and_consume("tally.listen", {"number": 1, "who": "ada"})
        self.assertEqual(seen, [("ada", 1)])


@apply_routes([route_class(Demultiplexer, path="^/streams/$")])
class DemultiplexerTests(ChannelTestCase):
    def setUp(self):
        super().setUp()
        self.client = WSClient()
        self.client.send_and_consume("websocket.connect", path="/streams/")

    def say(self, stream, payload):
        frame = {"stream": stream, "payload": payload}
        self.client.send_and_consume("websocket.receive", text=frame, path="/streams/")

    def heard(self):
        """What is there but for the accepts: each consumer of a demultiplexer sends one."""
        while True:
            message = self.client.get_next_message(self.client.reply_channel)
            if message is None or "text" in message:
                return message and message["text"]

    def test_a_stream_is_answered_on_the_same_stream(self):
        self.assertIn('"status": "listening"', self.heard())
        self.say("sums", {"add": [1, 2]})
        self.assertIn('"sum": 3', self.heard())
        self.say("shouts", {"text": "hello"})
        self.assertIn('"shout": "HELLO"', self.heard())

    def test_a_stream_that_does_not_exist(self):
        with self.assertRaises(ValueError):
            self.say("whispers", {"text": "hello"})
