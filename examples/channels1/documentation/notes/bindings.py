from channels.binding.websockets import WebsocketBinding

from .models import Note


class NoteBinding(WebsocketBinding):
    """Each shelf has readers of its own: a note that is moved goes from one page and comes to another."""

    model = Note
    stream = "notes"
    exclude = ["written_at"]

    @classmethod
    def group_names(cls, instance):
        """Look into the database: before a note is saved, it has the shelf where the note has been so far."""
        shelves = Note.objects.filter(pk=instance.pk).values_list("shelf", flat=True)
        return ["notes-%s" % shelf for shelf in shelves]

    def has_permission(self, user, action, pk):
        return user.is_authenticated
