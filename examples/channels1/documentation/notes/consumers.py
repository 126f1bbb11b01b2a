from channels.generic.websockets import WebsocketDemultiplexer

from .bindings import NoteBinding


class Demultiplexer(WebsocketDemultiplexer):
    http_user = True
    consumers = {
        "notes": NoteBinding.consumer,
    }

    def connection_groups(self, shelf, **kwargs):
        return ["notes-%s" % shelf]
