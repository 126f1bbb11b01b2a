import json

from channels import Group
from django.db import models
from django.urls import reverse
from django.utils import six, timezone
from django.utils.encoding import python_2_unicode_compatible
from django.utils.html import escape, linebreaks


@python_2_unicode_compatible
class Blog(models.Model):
    """What is being reported on, while it happens."""

    title = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ["title"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("blog", kwargs={"slug": self.slug})

    @property
    def readers(self):
        """The sockets of all who have its page open. The slug is ASCII: it can be part of a group's name."""
        return Group("blog-%s" % self.slug)


@python_2_unicode_compatible
class Post(models.Model):
    blog = models.ForeignKey(Blog, related_name="posts", on_delete=models.CASCADE)
    text = models.TextField()
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self):
        return "%s: %s" % (six.text_type(self.blog), self.text[:30])

    @property
    def html(self):
        return linebreaks(escape(self.text))

    def save(self, *args, **kwargs):
        """Save it and show it to the readers: from the admin, a shell, or wherever a post is saved."""
        is_new = self.pk is None
        super().save(*args, **kwargs)
        content = {
            "event": "posted" if is_new else "changed",
            "post": self.pk,
            "html": self.html,
            "created": self.created.isoformat(),
        }
        self.blog.readers.send({"text": json.dumps(content)})
