from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.exceptions import DenyConnection, WebsocketCloseException
from channels.handler import AsgiHandler
from channels.security.websockets import allowed_hosts_only
from channels.sessions import channel_and_http_session, channel_session, enforce_ordering, http_session
from django.http import HttpResponse

# A consumer takes a message, and may send others.


def hello(message):
    response = HttpResponse("Hello! You have asked for %s" % message.content["path"])
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


# Groups.


def chat_connect(message):
    message.reply_channel.send({"accept": True})
    Group("chat").add(message.reply_channel)


def chat_message(message):
    Group("chat").send({"text": "somebody: %s" % message.content["text"]})


def chat_disconnect(message):
    Group("chat").discard(message.reply_channel)


# What a socket has to remember is in its channel session.


@channel_session
def room_connect(message, room):
    message.reply_channel.send({"accept": True})
    message.channel_session["room"] = room
    Group("room-%s" % room).add(message.reply_channel)


@channel_session
def room_message(message):
    room = message.channel_session["room"]
    Group("room-%s" % room).send({"text": "%s: %s" % (room, message["text"])})


@channel_session
def room_disconnect(message):
    Group("room-%s" % message.channel_session["room"]).discard(message.reply_channel)


# Users are known by the session of the site, which comes with the connect only.


def desk_of(user):
    """Members of the staff hear one another, and so do all others."""
    return Group("desk-staff" if user.is_staff else "desk-public")


@channel_session_user_from_http
def desk_connect(message):
    message.reply_channel.send({"accept": True})
    desk_of(message.user).add(message.reply_channel)


@channel_session_user
def desk_message(message):
    name = message.user.username or "nobody"
    desk_of(message.user).send({"text": "%s: %s" % (name, message["text"])})


@channel_session_user
def desk_disconnect(message):
    desk_of(message.user).discard(message.reply_channel)


@http_session
def visits_connect(message):
    if message.http_session is None:
        message.reply_channel.send({"text": "no session", "close": True})
        return
    visits = message.http_session.get("visits", 0) + 1
    message.http_session["visits"] = visits
    message.reply_channel.send({"text": "visit %d" % visits, "close": True})


@channel_and_http_session
def name_connect(message):
    message.reply_channel.send({"accept": True})


@channel_and_http_session
def name_message(message):
    """Look into the site's session now: it may have changed since the socket was opened."""
    message.reply_channel.send({"text": message.http_session.get("name", "no name")})


# Each message of a socket when the one before it is done.


@enforce_ordering
@channel_session
def count_connect(message):
    message.channel_session["count"] = 0
    message.reply_channel.send({"accept": True})


@enforce_ordering
@channel_session
def count_message(message):
    message.channel_session["count"] += 1
    message.reply_channel.send({"text": "%s is number %d" % (message["text"], message.channel_session["count"])})


# The doors: pages of other sites may not open the one, and the other has a key.


@allowed_hosts_only
def home_connect(message):
    message.reply_channel.send({"text": "You come from here", "close": True})


def door_connect(message):
    if message.content["query_string"] != b"key=sesame":
        raise DenyConnection()
    message.reply_channel.send({"accept": True})


def door_message(message):
    if message["text"] == "bye":
        message.reply_channel.send({"text": "Goodbye", "close": 4001})
    elif message["text"] == "throw me out":
        raise WebsocketCloseException(4003)
    else:
        message.reply_channel.send({"close": True})
