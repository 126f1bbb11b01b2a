import base64
import os
import socket
from urllib.parse import urlsplit
from urllib.request import urlopen

from channels.test import ChannelLiveServerTestCase
from django.contrib.auth.models import User


class LiveTests(ChannelLiveServerTestCase):
    serve_static = False

    def test_a_request(self):
        with urlopen(self.live_server_url + "/hello/") as response:
            self.assertEqual(response.read(), b"Hello! You have asked for /hello/")

    def test_a_view(self):
        with urlopen(self.live_server_url + "/remember/ada/") as response:
            self.assertEqual(response.read(), b"You are ada")
            self.assertIn("sessionid=", response.headers["Set-Cookie"])

    def test_a_socket(self):
        """There is no WebSocket client in the standard library; three lines of the protocol are enough here."""
        url = urlsplit(self.live_server_ws_url)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /home/ HTTP/1.1",
            "Host: %s" % url.netloc,
            "Origin: http://%s" % url.netloc,
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: %s" % key,
        ]
        with socket.create_connection((url.hostname, url.port), 20) as connection:
            connection.sendall("\r\n".join(lines + ["", ""]).encode())
            stream = connection.makefile("rb")
            self.assertIn(b" 101 ", stream.readline())
            while stream.readline() != b"\r\n":
                pass
            opcode, length = stream.read(2)
            self.assertEqual(opcode, 0x81)
            self.assertEqual(stream.read(length), b"You come from here")

    def test_the_database_is_shared(self):
        User.objects.create_user("ada")
        with urlopen(self.live_server_url + "/hello/") as response:
            self.assertEqual(response.status, 200)
        self.assertEqual(User.objects.count(), 1)
