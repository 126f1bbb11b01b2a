"""What may differ through the bridge. Each entry has its reason; what is not listed here must be equal."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable
from dataclasses import dataclass

from .transcript import Note, Transcript

# What is said in the scope of these can be carried to another process, or is done by the bridge for it.
CARRIED = frozenset(
    {
        "websocket.http.response",
        "http.response.trailers",
        "http.response.early_hint",
        "http.response.push",
        "http.response.pathsend",  # over ipc://, where bridge and worker share the files
        "tls",
    }
)
ENDINGS = ("returned", "was cancelled", "never called", "did not end", "raised ProbeError", "raised TimeoutError")


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that is allowed, with its reason.

    ``expect`` turns a direct transcript into what must be seen through the bridge; ``blur`` takes out of
    both transcripts what may be one or the other.
    """

    reason: str
    cases: tuple[str, ...] = ("*",)  # of "server/scenario/variant"
    expect: Callable[[Transcript], None] | None = None
    blur: Callable[[Transcript], None] | None = None

    def applies(self, case: str) -> bool:
        """Return True if this is about the case."""
        return any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)


def _drop_uncarried_extensions(direct: Transcript) -> None:
    for app in direct.apps:
        if app.scope.get("extensions"):
            offered = app.scope["extensions"]
            app.scope["extensions"] = {name: offered[name] for name in offered if name in CARRIED}


def _name_no_errors(transcript: Transcript) -> None:
    for app in transcript.apps:
        if app.ended not in ENDINGS:
            app.ended = "raised what send raised"


def _replaced(transcript: Transcript, replace: Callable[[Note], Note | None]) -> None:
    for app in transcript.apps:
        app.notes = [new for note in app.notes if (new := replace(note)) is not None]


def _to_the_gone(transcript: Transcript) -> None:
    def replace(note: Note) -> Note:
        gone = note[0].startswith("sent") and note[-1] in ("taken", "OSError")
        return (*note[:-1], "taken or OSError") if gone else note

    _replaced(transcript, replace)


def _only_first_disconnect(transcript: Transcript) -> None:
    for app in transcript.apps:
        kinds = [note[1]["type"] if note[0] == "received" else "" for note in app.notes]
        if "http.disconnect" in kinds:
            del app.notes[kinds.index("http.disconnect") + 1 :]


def _state_of_the_worker(direct: Transcript) -> None:
    def replace(note: Note) -> Note:
        seen = {"text": "from the lifespan", "shared": ["one list for all"]}
        return ("state", seen) if note[0] == "state" else note

    _replaced(direct, replace)


def _body_before_disconnect(direct: Transcript) -> None:
    shape = (("body", "bytes"), ("more_body", "bool"), ("type", "str"))
    direct.apps[0].notes.insert(0, ("received body", b"a body", "complete", [shape]))


def _untold(transcript: Transcript) -> None:
    def replace(note: Note) -> Note | None:
        return None if note[0] in ("refused", "sent") else note

    _replaced(transcript, replace)
    for app in transcript.apps:
        if app.ended == "raised what send raised":
            app.ended = "returned"


DIFFERENCES = (
    Difference(
        "an extension that needs the server's own process cannot be offered by another one",
        expect=_drop_uncarried_extensions,
    ),
    Difference(
        "which class of exception tells an application of its mistake is each server's own",
        blur=_name_no_errors,
    ),
    Difference(
        "before ASGI 2.4 servers swallow what is sent to a client that is gone, since then they raise OSError;"
        " which of the two an application gets depends also on when the news reaches its process",
        (
            "*/leaves_before_response/*",
            "*/send_after_leaving/*",
            "*/half_close/*",
            "*/send_after_client_closed/*",
            "*/gone_in_handshake/*",
        ),
        blur=_to_the_gone,
    ),
    Difference(
        "after http.disconnect ASGI promises nothing: uvicorn repeats it, others never return",
        ("*/receive_after_disconnect/*",),
        blur=_only_first_disconnect,
    ),
    Difference(
        "daphne runs no lifespan, the worker does",
        ("daphne/state/*",),
        expect=_state_of_the_worker,
    ),
    Difference(
        "uvicorn forgets a body that nobody had received when the client left; the bridge has it, and gives it"
        " to the application before the disconnect, as other servers do",
        ("uvicorn/leaves_body_unread/*",),
        expect=_body_before_disconnect,
    ),
    Difference(
        "what only the server finds wrong it says when the worker's send has returned already;"
        " the client sees the same",
        ("*/wrong_length/*", "*/body_where_none_belongs/*", "*/malformed/newline in header"),
        blur=_untold,
    ),
    Difference(
        "daphne takes anything after the end of a response for a late part of it; the worker says that it is one",
        ("daphne/send_after_end/*",),
        blur=_untold,
    ),
)


def levelled(case: str, direct: Transcript, bridged: Transcript) -> tuple[list[str], list[str]]:
    """Return both transcripts as lines, those differences taken out that the case may have."""
    direct, bridged = copy.deepcopy(direct), copy.deepcopy(bridged)
    for difference in DIFFERENCES:
        if difference.applies(case):
            if difference.expect:
                difference.expect(direct)
            if difference.blur:
                difference.blur(direct)
                difference.blur(bridged)
    return direct.lines(), bridged.lines()
