from channels.test import ChannelTestCase, WSClient
from django.contrib.auth.models import User

from .models import Note


class OutboundTests(ChannelTestCase):
    def setUp(self):
        super().setUp()
        self.ada, self.grace = WSClient(), WSClient()
        self.ada.join_group("notes-art")
        self.grace.join_group("notes-law")

    def payload(self, client):
        frame = client.receive()
        if frame is None:
            return None
        self.assertEqual(frame["stream"], "notes")
        payload = frame["payload"]
        self.assertEqual(payload["model"], "notes.note")
        return payload["action"], payload["pk"], payload["data"]

    def test_a_note_comes_changes_and_goes(self):
        note = Note.objects.create(shelf="art", text="Look")
        pk = note.pk
        self.assertEqual(self.payload(self.ada), ("create", pk, {"shelf": "art", "text": "Look"}))
        note.text = "Look!"
        note.save()
        self.assertEqual(self.payload(self.ada), ("update", pk, {"shelf": "art", "text": "Look!"}))
        note.delete()
        self.assertEqual(self.payload(self.ada)[:2], ("delete", pk))
        self.assertIsNone(self.payload(self.grace))

    def test_a_note_that_is_moved(self):
        note = Note.objects.create(shelf="art", text="Look")
        self.payload(self.ada)
        note.shelf = "law"
        note.save()
        self.assertEqual(self.payload(self.ada)[:2], ("delete", note.pk))
        self.assertEqual(self.payload(self.grace), ("create", note.pk, {"shelf": "law", "text": "Look"}))


class InboundTests(ChannelTestCase):
    def setUp(self):
        super().setUp()
        User.objects.create_user("ada", "ada@example.com", "sesame")

    def ask(self, client, **payload):
        frame = {"stream": "notes", "payload": payload}
        client.send_and_consume("websocket.receive", text=frame, path="/notes/art/")

    def connected(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/notes/art/")
        return client

    def test_users_may_change_everything(self):
        client = WSClient()
        client.login(username="ada", password="sesame")
        client.send_and_consume("websocket.connect", path="/notes/art/")
        self.ask(client, action="create", data={"shelf": "art", "text": "Look"})
        note = Note.objects.get()
        self.assertEqual((note.shelf, note.text), ("art", "Look"))
        self.assertEqual(client.receive()["payload"]["action"], "create")
        self.ask(client, action="update", pk=note.pk, data={"text": "Look!"})
        note.refresh_from_db()
        self.assertEqual(note.text, "Look!")
        self.ask(client, action="delete", pk=note.pk)
        self.assertFalse(Note.objects.exists())

    def test_others_may_change_nothing(self):
        client = self.connected()
        self.ask(client, action="create", data={"shelf": "art", "text": "Look"})
        self.assertFalse(Note.objects.exists())
        self.assertIsNone(client.receive())
