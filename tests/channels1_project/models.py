"""The models of the unit tests of Channels 1."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class Counter(models.Model):
    """What bindings are bound to."""

    objects: ClassVar[Any]  # Django has no types

    name = models.CharField(max_length=255)
    value = models.IntegerField(default=0)  # pyright: ignore[reportArgumentType]


class Tag(models.Model):
    """What entries have many of."""

    objects: ClassVar[Any]

    name = models.CharField(max_length=255)


class Entry(models.Model):
    """A model with all kinds of fields that bindings treat differently."""

    title: Any = models.CharField(max_length=255)
    secret = models.CharField(max_length=255, default="")
    written = models.DateTimeField(auto_now_add=True)
    counter = models.ForeignKey(Counter, models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)

    entries: ClassVar[Any] = models.Manager()  # so there is no Entry.objects

    def loud(self) -> str:
        """Shout."""
        return f"{self.title.upper()}!"
