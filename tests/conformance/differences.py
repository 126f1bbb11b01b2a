"""What may differ through the bridge. Each entry has its reason; what is not listed here must be equal."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
TOLD = "raised what send raised"

Change = Callable[[Transcript], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that is allowed, with its reason.

    ``expect`` turns a direct transcript into what must be seen through the bridge; ``blur`` takes out of
    both transcripts what may be one or the other.
    """

    reason: str
    cases: tuple[str, ...] = ("*",)  # of "server/scenario/variant"
    expect: Change | None = None
    blur: Change | None = None

    def applies(self, case: str) -> bool:
        """Return True if this is about the case."""
        return any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)


def _drop_uncarried_extensions(direct: Transcript) -> None:
    for app in direct.apps:
        if app.scope.get("extensions"):
            offered = app.scope["extensions"]
            app.scope["extensions"] = {name: offered[name] for name in offered if name in CARRIED}


def _without_our_extension(transcript: Transcript) -> None:
    for app in transcript.apps:
        offered: dict[str, Any] | None = app.scope.get("extensions")
        if offered is not None:
            offered.pop("bridge.resume", None)
            if not offered:
                del app.scope["extensions"]


def _name_no_errors(transcript: Transcript) -> None:
    for app in transcript.apps:
        if app.ended not in ENDINGS:
            app.ended = TOLD


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


def _never_spins(direct: Transcript) -> None:
    _replaced(direct, lambda note: ("spins", False) if note[0] == "spins" else note)


def _state_of_the_worker(direct: Transcript) -> None:
    seen = {"text": "from the lifespan", "shared": ["one list for all"]}
    _replaced(direct, lambda note: ("state", seen) if note[0] == "state" else note)


def _body_before_disconnect(direct: Transcript) -> None:
    shape = (("body", "bytes"), ("more_body", "bool"), ("type", "str"))
    direct.apps[0].notes.insert(0, ("received body", b"a body", "complete", [shape]))


def _told_or_not(transcript: Transcript) -> None:
    """Take out whether the application heard of an error in what it sent."""
    _replaced(transcript, lambda note: None if note[0] in ("refused", "sent") else note)
    for app in transcript.apps:
        app.ended = "returned" if app.ended == TOLD else app.ended


def _told(direct: Transcript) -> None:
    """Tell the application of an error in the last thing that it sent."""
    for app in direct.apps:
        last = app.notes[-1]
        assert last[0] == "sent"
        app.notes[-1] = (*last[:-1], "error")


def _must_fail(direct: Transcript) -> None:
    direct.client = [("failed",)]
    for app in direct.apps:
        app.notes = [note for note in app.notes if note[0] == "received body"]
        app.ended = TOLD


def _failed(transcript: Transcript) -> None:
    """Reduce a failure to its being one: no whole answer below 400, no socket that was closed as if all were well."""
    statuses = [note[2] for note in transcript.client if note[0] == "response"]
    whole = ("end",) in transcript.client and not any(status >= 400 for status in statuses)
    closed_well = any(note[:2] == ("close", 1000) for note in transcript.client)
    if not whole and not closed_well:
        transcript.client = [("failed",)]
    for app in transcript.apps:
        app.notes = [note for note in app.notes if note[0] == "received body"]


def _headers_arrive(direct: Transcript) -> None:
    """Write down the response that was meant, as daphne and granian give it when its headers are lists."""
    length, a, b = ((b"content-length", b"4"), (b"x-a", b"1"), (b"x-b", b"2"))
    headers = [length, a, b]
    if direct.client[0][4] and direct.client[0][4][0][0].istitle():
        headers = [(b"Content-Length", b"4"), (b"X-A", b"1"), (b"X-B", b"2")]
    direct.client = [("response", b"1.1", 200, b"OK", headers), ("body", b"done"), ("end",)]
    direct.apps[0].ended = "returned"


def _goes_well(direct: Transcript) -> None:
    direct.apps[0].ended = "returned"


def _sends_bytes(direct: Transcript) -> None:
    direct.client.insert(1, ("bytes", b"bytearray"))
    _replaced(direct, lambda note: (*note[:-1], "taken") if note[0] == "sent" else note)


def _is_closed_somehow(transcript: Transcript) -> None:
    """Reduce a close to its being one, and take out what the application was told of its code."""
    last = transcript.client[-1]
    if last[0] in ("close", "cut", "socket left open"):
        transcript.client[-1] = ("closed somehow",)
    _told_or_not(transcript)


def _without_ending(transcript: Transcript) -> None:
    _told_or_not(transcript)
    _replaced(transcript, lambda note: None if note[0].startswith("received") else note)


def _either_close(transcript: Transcript) -> None:
    transcript.client = [note[:1] if note[0] == "close" else note for note in transcript.client]


DIFFERENCES = (
    Difference(
        "an extension that needs the server's own process cannot be offered by another one",
        expect=_drop_uncarried_extensions,
    ),
    Difference(
        "the worker offers each WebSocket an extension of its own: to outlive it",
        blur=_without_our_extension,
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
        "granian repeats websocket.disconnect for ever at once, the worker does not",
        ("granian/receive_after_disconnect_frame/*",),
        expect=_never_spins,
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
        "the bridge receives what the client sends before the application does: granian has answered the client's"
        " close with the client's code then, and does not come to the application's",
        ("granian/send_after_client_closed/closed, disconnect unread",),
        blur=_either_close,
    ),
    Difference(
        "a message that is wrong is refused by the worker, at once and on every server alike; direct, some servers"
        " take it, and some notice it when they have begun to answer",
        ("*/malformed/*", "*/malformed_handshake/*", "*/malformed_after_accept/*"),
        expect=_must_fail,
        blur=_failed,
    ),
    Difference(
        "what only the server finds wrong it says when the worker's send has returned already;"
        " the client sees the same",
        (
            "*/wrong_length/*",
            "*/body_where_none_belongs/*",
            "*/subprotocol_not_offered/*",  # hypercorn and daphne refuse it, the others pass it on
            "*/app_closes/*",
            "*/malformed/newline in header",
            "*/forms/both keys",
        ),
        blur=_told_or_not,
    ),
    Difference(
        "a WebSocket message must have text or bytes; uvicorn, daphne and granian send nothing if it has neither,"
        " hypercorn raises, and so does the worker",
        ("*/forms/no key", "*/forms/both none"),
        expect=_told,
    ),
    Difference(
        "msgpack makes bytes of a bytearray, which daphne alone does not take",
        ("daphne/forms/bytearray",),
        expect=_sends_bytes,
    ),
    Difference(
        "daphne takes anything after the end of a response for a late part of it; the worker says that it is one",
        ("daphne/send_after_end/*",),
        expect=_told,
    ),
    Difference(
        "some servers take what is sent after the application's own close in silence (hypercorn and daphne a second"
        " close, granian all), uvicorn does not; the worker raises",
        ("*/send_after_closing/*",),
        expect=_told,
    ),
    Difference(
        "the worker makes lists of headers, before servers walk them twice (daphne) or want them to be lists (granian)",
        ("daphne/one_shot_headers/*", "granian/one_shot_headers/*"),
        expect=_headers_arrive,
    ),
    Difference(
        "headers may be left out by ASGI; granian raises when they are",
        ("granian/header_shapes/absent",),
        expect=_goes_well,
    ),
    Difference(
        "granian takes a denial in one part only, and ends it then; so it is done with the second part unsaid",
        ("granian/denial/parts",),
        blur=_without_ending,
    ),
    Difference(
        "daphne and granian refuse a message with both text and bytes; as the application hears of it too late,"
        " its socket is closed for it",
        ("daphne/forms/both keys", "granian/forms/both keys"),
        blur=_is_closed_somehow,
    ),
    Difference(
        "codes and reasons that RFC 6455 does not let into a close frame: some servers send them nevertheless,"
        " some raise, hypercorn shortens the reason; the bridge closes in another way",
        ("*/app_closes/1005", "*/app_closes/999", "*/app_closes/5000", "*/app_closes/4000 too long a reason"),
        blur=_is_closed_somehow,
    ),
    Difference(
        "daphne can close with 1000 and from 3000 on only: for other codes it raises, and leaves the socket open;"
        " the bridge does not leave it open",
        ("daphne/app_closes/*",),
        blur=_is_closed_somehow,
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
