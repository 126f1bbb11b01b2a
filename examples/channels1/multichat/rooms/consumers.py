import json

from channels import Channel
from channels.auth import channel_session_user, channel_session_user_from_http
from django.utils import six

from .decorators import refusals_to_client
from .exceptions import Refused
from .models import Room

# The socket: lets people in, and passes on what they ask for.


@channel_session_user_from_http
def ws_connect(message):
    message.reply_channel.send({"accept": True})
    message.channel_session["rooms"] = []


@refusals_to_client
def ws_receive(message):
    try:
        command = json.loads(message["text"])
    except (KeyError, ValueError):
        raise Refused("BAD_MESSAGE", "this is no JSON text")
    if not isinstance(command, dict) or not isinstance(command.get("command"), six.string_types):
        raise Refused("BAD_MESSAGE", "there is no command in it")
    command["reply_channel"] = message.content["reply_channel"]
    Channel("chat.receive").send(command)


@channel_session_user
def ws_disconnect(message):
    for room in Room.objects.filter(pk__in=message.channel_session.get("rooms", [])):
        room.group.discard(message.reply_channel)
        room.announce("left", message.user)


# The commands: messages on "chat.receive", one consumer for each of them.


def find_room(message):
    """Find the room that a command is about, if it is one for this user."""
    if not message.user.is_authenticated:
        raise Refused("LOGIN_FIRST")
    try:
        room = Room.objects.get(pk=message["room"])
    except (KeyError, TypeError, ValueError, Room.DoesNotExist):
        raise Refused("NO_SUCH_ROOM")
    if not room.lets_in(message.user):
        raise Refused("NOT_FOR_YOU", six.text_type(room))
    return room


def find_own_room(message):
    """As find_room; and the user has to be in it."""
    room = find_room(message)
    if room.pk not in message.channel_session["rooms"]:
        raise Refused("NOT_IN_THERE", six.text_type(room))
    return room


@channel_session_user
@refusals_to_client
def join(message):
    room = find_room(message)
    message.reply_channel.send({"text": json.dumps({"join": room.pk, "name": room.name})})
    # Sent when this consumer ends; who comes is a member by then, and so reads of it, too.
    room.announce("entered", message.user)
    room.group.add(message.reply_channel)
    message.channel_session["rooms"] = sorted({room.pk, *message.channel_session["rooms"]})


@channel_session_user
@refusals_to_client
def leave(message):
    room = find_own_room(message)
    # Who leaves is no member any more when this is sent.
    room.announce("left", message.user)
    room.group.discard(message.reply_channel)
    message.channel_session["rooms"] = [pk for pk in message.channel_session["rooms"] if pk != room.pk]
    message.reply_channel.send({"text": json.dumps({"leave": room.pk})})


@channel_session_user
@refusals_to_client
def say(message):
    room = find_own_room(message)
    text = message.get("text", "")
    if not isinstance(text, six.string_types) or not text.strip():
        raise Refused("NOTHING_SAID")
    room.announce("said", message.user, text=text)
