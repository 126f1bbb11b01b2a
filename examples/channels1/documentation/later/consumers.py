import os

from channels import Channel, Group
from channels.exceptions import ConsumeLater
from channels.handler import AsgiHandler
from django.http import JsonResponse


def accept(message):
    message.reply_channel.send({"accept": True})


def remind(message):
    """Answer in a fifth of a second."""
    content = {"reply_channel": message.reply_channel.name, "text": message["text"]}
    Channel("asgi.delay").send({"channel": "reminders.due", "content": content, "delay": 200})
    message.reply_channel.send({"text": "I will remind you of %s" % message["text"]})


def due(message):
    message.reply_channel.send({"text": "It is time: %s" % message["text"]})


def order_job(message):
    """Order a job; the text says how often it is tried in vain."""
    Channel("jobs.run").send({"reply_channel": message.reply_channel.name, "in_vain": int(message["text"])})


def run_job(message):
    tries = message.get("tries", 0) + 1
    if tries > message["in_vain"]:
        message.reply_channel.send({"text": "done at try %d by %d" % (tries, os.getpid())})
    elif getattr(message, "__doomed__", False):
        message.reply_channel.send({"text": "given up at try %d" % tries})
    else:
        message["tries"] = tries
        raise ConsumeLater()


def wait_for_news(message):
    """Do not answer: publish_news does it for all who wait."""
    Group("news").add(message.reply_channel)


def wait_no_longer(message):
    Group("news").discard(message.reply_channel)


def publish_news(message):
    for chunk in AsgiHandler.encode_response(JsonResponse({"news": message["text"]})):
        Group("news").send(chunk)
