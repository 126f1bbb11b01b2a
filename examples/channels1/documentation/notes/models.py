from django.db import models
from django.utils import timezone


class Note(models.Model):
    shelf = models.CharField(max_length=20)
    text = models.CharField(max_length=200)
    written_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.text
