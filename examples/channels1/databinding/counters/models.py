from django.db import models


class Counter(models.Model):
    name = models.CharField(max_length=40)
    value = models.IntegerField(default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return "%s: %d" % (self.name, self.value)
