from functools import wraps

from .exceptions import Refused


def refusals_to_client(consumer):
    """Turn a refusal into an answer. Goes below the decorators that give a message its user."""

    @wraps(consumer)
    def inner(message, **kwargs):
        try:
            return consumer(message, **kwargs)
        except Refused as refused:
            refused.tell(message.reply_channel)

    return inner
