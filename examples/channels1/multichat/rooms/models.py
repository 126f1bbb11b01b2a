import json

from channels import Group
from django.db import models
from django.utils.encoding import python_2_unicode_compatible


@python_2_unicode_compatible
class Room(models.Model):
    """A room that people can be in, several rooms at a time."""

    name = models.CharField(max_length=80, unique=True)
    for_staff = models.BooleanField(default=False)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.name

    @property
    def group(self):
        """The sockets of those who are in."""
        return Group("room-%d" % self.pk)

    def lets_in(self, user):
        return user.is_staff or not self.for_staff

    def announce(self, event, user, **more):
        """Tell everybody who is in."""
        content = dict(more, event=event, room=self.pk, user=user.username)
        self.group.send({"text": json.dumps(content)})
