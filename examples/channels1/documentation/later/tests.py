import json

from channels import Channel
from channels.delay.models import DelayedMessage
from channels.exceptions import ConsumeLater
from channels.tests import ChannelTestCase, Client, HttpClient
from django.utils import timezone


class DelayTests(ChannelTestCase):
    def test_a_reminder_is_handed_to_the_delay_server(self):
        client = HttpClient()
        client.send_and_consume("websocket.connect", path="/reminders/")
        client.send_and_consume("websocket.receive", text="tea", path="/reminders/")
        self.assertEqual(client.receive(json=False), "I will remind you of tea")
        order = self.get_next_message("asgi.delay", require=True)
        self.assertEqual(order["channel"], "reminders.due")
        self.assertEqual(order["delay"], 200)
        client.send_and_consume(order["channel"], order["content"])
        self.assertEqual(client.receive(json=False), "It is time: tea")

    def test_what_waits_is_in_the_database(self):
        waiting = DelayedMessage(channel_name="reminders.due", content=json.dumps({"text": "tea"}))
        waiting.due_date = timezone.now()
        waiting.save()
        self.assertEqual(list(DelayedMessage.objects.is_due()), [waiting])
        waiting.send()
        self.assertEqual(self.get_next_message("reminders.due", require=True).content, {"text": "tea"})


class JobTests(ChannelTestCase):
    def test_a_job_is_tried_again(self):
        client = Client()
        job = {"reply_channel": client.reply_channel, "in_vain": 1}
        client.send("jobs.run", job)
        with self.assertRaises(ConsumeLater):
            client.consume("jobs.run")
        client.send_and_consume("jobs.run", dict(job, tries=1))
        self.assertIn("done at try 2", client.receive()["text"])


class NewsTests(ChannelTestCase):
    def test_all_who_wait_are_told(self):
        waiting = [Client(), Client()]
        for client in waiting:
            request = {"path": "/news/", "reply_channel": client.reply_channel}
            client.send_and_consume("http.request", request)
            self.assertIsNone(client.receive())
        Channel("news.publish").send({"text": "It rains"}, immediately=True)
        client.consume("news.publish")
        for client in waiting:
            response = client.receive()
            self.assertEqual(response["status"], 200)
            self.assertEqual(json.loads(response["content"].decode("utf-8")), {"news": "It rains"})
