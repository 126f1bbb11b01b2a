"""Messages that wait in the database until they are due."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import models, router, transaction
from django.utils import timezone

from ..channel import Channel

atomic: Any = transaction.atomic


class DelayedMessageQuerySet(models.QuerySet[Any]):
    """Delayed messages, all or some."""

    def is_due(self) -> Any:
        """Give those whose time has come."""
        return self.filter(due_date__lte=timezone.now())


class DelayedMessage(models.Model):
    """One message: ``content`` (JSON) is for ``channel_name`` at ``due_date``."""

    due_date: Any = models.DateTimeField(db_index=True)
    channel_name: Any = models.CharField(max_length=512)
    content: Any = models.TextField()

    objects: Any = models.Manager.from_queryset(DelayedMessageQuerySet)()

    class Meta:
        """Say where they are kept."""

        db_table = "channels.delay_delayedmessage"  # with a dot: so Channels 1 has made it, of its app's label

    def __str__(self) -> str:
        return f"for {self.channel_name} at {self.due_date}"

    @property
    def delay(self) -> float:
        """Give the milliseconds that are left. Setting it sets the due date, from now on."""
        return (self.due_date - timezone.now()) / timedelta(milliseconds=1)

    @delay.setter
    def delay(self, milliseconds: float) -> None:
        self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)

    def send(self, channel_layer: Any = None, requeue_delay: float = 1000) -> None:
        """Send it at once, and delete it: both, or neither, and no other process does so meanwhile.

        If the channel is full, it is due again in ``requeue_delay`` milliseconds. Raises what the layer raises, if it
        cannot be reached, or does not take such a message.
        """
        channel = Channel(self.channel_name, channel_layer=channel_layer)
        mine = type(self).objects.filter(pk=self.pk)
        try:
            with atomic(using=router.db_for_write(type(self), instance=self)):
                count, _ = mine.delete()
                if count:
                    channel.send(json.loads(self.content), immediately=True)
        except channel.channel_layer.ChannelFull:
            self.delay = requeue_delay
            mine.update(due_date=self.due_date)
