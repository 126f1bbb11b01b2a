import json

from django.utils.encoding import python_2_unicode_compatible


@python_2_unicode_compatible
class Refused(Exception):
    """Raised by consumers: the client is told why it does not get what it has asked for."""

    def __init__(self, reason, detail=""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self):
        return "%s (%s)" % (self.reason, self.detail) if self.detail else self.reason

    def tell(self, reply_channel):
        reply_channel.send({"text": json.dumps({"error": self.reason, "detail": self.detail})})
