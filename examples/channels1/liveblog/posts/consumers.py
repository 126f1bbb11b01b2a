import json

from .models import Blog


def start_reading(message, slug):
    try:
        blog = Blog.objects.get(slug=slug)
    except Blog.DoesNotExist:
        # Text before an accept is an accept, too: the page can read why its socket is closed.
        message.reply_channel.send({"text": json.dumps({"error": "no-such-blog"}), "close": True})
        return
    message.reply_channel.send({"accept": True})
    blog.readers.add(message.reply_channel)


def reader_speaks(message, slug):
    """Readers read: whatever they send, is answered by the same words."""
    message.reply_channel.send({"text": json.dumps({"error": "read-only", "blog": slug})})


def stop_reading(message, slug):
    try:
        blog = Blog.objects.get(slug=slug)
    except Blog.DoesNotExist:
        return
    blog.readers.discard(message.reply_channel)
