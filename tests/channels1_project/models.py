"""The models of the unit tests of Channels 1."""

from __future__ import annotations

from django.db import models


class Counter(models.Model):
    """What bindings are bound to."""

    name = models.CharField(max_length=255)
    value = models.IntegerField(default=0)
