from channels import Group
from channels.exceptions import DenyConnection
from channels.test import ChannelTestCase, Client, WSClient, apply_routes
from django.contrib.auth.models import User

from .routing import channel_routing


class HelloTests(ChannelTestCase):
    def test_a_consumer_answers_a_request(self):
        client = Client()
        request = {"path": "/hello/world/", "method": "GET", "reply_channel": client.reply_channel}
        client.send_and_consume("http.request", request)
        response = client.receive()
        self.assertEqual(response["status"], 200)
        self.assertEqual(response["content"], b"Hello! You have asked for /hello/world/")


class ChatTests(ChannelTestCase):
    def test_everybody_hears_everybody(self):
        ada, grace = WSClient(), WSClient()
        for client in (ada, grace):
            client.send_and_consume("websocket.connect", path="/chat/")
        ada.send_and_consume("websocket.receive", text="hello", path="/chat/")
        for client in (ada, grace):
            self.assertEqual(client.receive(json=False), "somebody: hello")
            self.assertIsNone(client.receive())

    def test_who_has_gone_hears_nothing(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/chat/")
        client.send_and_consume("websocket.disconnect", path="/chat/")
        Group("chat").send({"text": "is anybody there?"}, immediately=True)
        self.assertIsNone(client.receive())

    def test_a_client_is_put_into_a_group(self):
        client = WSClient()
        client.join_group("chat")
        Group("chat").send({"text": "hello"}, immediately=True)
        self.assertEqual(client.receive(json=False), "hello")


class RoomTests(ChannelTestCase):
    def test_the_session_knows_the_room(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/room/kitchen/")
        client.send_and_consume("websocket.receive", text="hello", path="/room/kitchen/")
        self.assertEqual(client.receive(json=False), "kitchen: hello")

    def test_there_are_no_rooms_with_numbers(self):
        client = WSClient()
        with self.assertRaises(AssertionError):
            client.send_and_consume("websocket.connect", path="/room/42/")


class DeskTests(ChannelTestCase):
    def setUp(self):
        super().setUp()
        User.objects.create_user("ada", "ada@example.com", "sesame", is_staff=True)
        User.objects.create_user("grace", "grace@example.com", "sesame")

    def connected(self, name=None):
        client = WSClient()
        if name is not None:
            client.login(username=name, password="sesame")
        client.send_and_consume("websocket.connect", path="/desk/")
        return client

    def test_the_staff_hears_the_staff(self):
        ada, grace, nobody = self.connected("ada"), self.connected("grace"), self.connected()
        grace.send_and_consume("websocket.receive", text="hello", path="/desk/")
        nobody.send_and_consume("websocket.receive", text="hi", path="/desk/")
        for client in (grace, nobody):
            self.assertEqual(client.receive(json=False), "grace: hello")
            self.assertEqual(client.receive(json=False), "nobody: hi")
        self.assertIsNone(ada.receive())

    def test_users_may_be_logged_in_by_force(self):
        client = WSClient()
        client.force_login(User.objects.get(username="ada"))
        client.send_and_consume("websocket.connect", path="/desk/")
        client.send_and_consume("websocket.receive", text="hello", path="/desk/")
        self.assertEqual(client.receive(json=False), "ada: hello")


class SessionTests(ChannelTestCase):
    def test_visits_are_counted_in_the_session_of_the_site(self):
        User.objects.create_user("ada", "ada@example.com", "sesame")
        client = WSClient()
        client.login(username="ada", password="sesame")
        session = client.session
        session["visits"] = 6
        session.save()
        client.send_and_consume("websocket.connect", path="/visits/", check_accept=False)
        self.assertEqual(client.receive(json=False), "visit 7")

    def test_cookies_may_be_set(self):
        client = WSClient()
        client.set_cookie("theme", "dark")
        self.assertEqual(client.get_cookies()["theme"], "dark")


@apply_routes(channel_routing)
class OrderTests(ChannelTestCase):
    def test_messages_are_numbered(self):
        client = WSClient(ordered=True)
        client.send_and_consume("websocket.connect", path="/count/")
        for number, word in enumerate(["one", "two", "three"], 1):
            client.send_and_consume("websocket.receive", text=word, path="/count/")
            self.assertEqual(client.receive(json=False), "%s is number %d" % (word, number))


class DoorTests(ChannelTestCase):
    def test_without_an_origin_nobody_comes_home(self):
        with self.assertRaises(DenyConnection):
            WSClient().send_and_consume("websocket.connect", path="/home/")

    def test_the_key_opens_it(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", {"query_string": b"key=sesame"}, path="/door/")
        client.send_and_consume("websocket.receive", text="bye", path="/door/")
        message = self.get_next_message(client.reply_channel, require=True)
        self.assertEqual(message.content, {"text": "Goodbye", "close": 4001})

    def test_nothing_else_does(self):
        with self.assertRaises(DenyConnection):
            WSClient().send_and_consume("websocket.connect", {"query_string": b""}, path="/door/")
