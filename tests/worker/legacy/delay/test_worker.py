"""The delay server keeps what comes until it is due, and nothing that comes ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError

from channels_bridge.shared.errors import BridgeUnavailable
from channels_bridge.worker.legacy.delay import worker as module
from channels_bridge.worker.legacy.delay.models import DelayedMessage
from channels_bridge.worker.legacy.delay.worker import BadMessage, Worker, delayed
from channels_bridge.worker.legacy.memory import ChannelLayer

pytestmark = pytest.mark.usefixtures("empty_tables")

LATER = {"channel": "mail", "content": {"to": "you"}, "delay": 60_000}
NOW = {**LATER, "delay": 0}


class Timed(Worker):
    """A worker on a clock that only its pauses move."""

    def __init__(self, layer: Any) -> None:
        super().__init__(layer, signal_handlers=False)
        self.now = 0.0
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        self.clock = lambda: self.now
        self.pause = self._pass

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.on_pause()


class Faulty(ChannelLayer):
    """A layer that raises, as long as it has something to raise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.faults: list[Exception] = []
        self.on_send: Callable[[], None] = lambda: None

    def receive(self, channels: Any, block: bool = False) -> Any:
        self._raise()
        return super().receive(channels, block=False)

    def send(self, channel: str, message: Any) -> None:
        self._raise()
        super().send(channel, message)
        self.on_send()

    def _raise(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


@pytest.fixture
def layer() -> Faulty:
    return Faulty()


@pytest.fixture
def worker(layer: Faulty) -> Timed:
    return Timed(layer)


def break_saving(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Have the next attempts to save a message raise."""
    left, save = list(errors), DelayedMessage.save

    def saving(self: DelayedMessage) -> None:
        if left:
            raise left.pop(0)
        save(self)

    monkeypatch.setattr(DelayedMessage, "save", saving)


def test_a_message_is_kept_until_it_is_due(layer: Faulty, worker: Timed) -> None:
    layer.send("asgi.delay", LATER)
    worker.turn()
    kept = DelayedMessage.objects.get()
    assert (kept.channel_name, kept.content) == ("mail", '{"to": "you"}')
    assert 59_000 < kept.delay <= 60_000
    assert layer.receive(["mail"]) == (None, None)
    kept.delay = 0
    kept.save()
    while worker.now < 1:
        worker.turn()
    worker.turn()
    assert layer.receive(["mail"]) == ("mail", {"to": "you"})
    assert DelayedMessage.objects.count() == 0


def test_it_looks_into_the_database_now_and_then(worker: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    is_due = DelayedMessage.objects.is_due

    def looking() -> Any:
        looks.append(worker.now)
        return is_due()

    monkeypatch.setattr(DelayedMessage.objects, "is_due", looking)
    worker.database_sleep_duration = 2
    while worker.now < 5:
        worker.turn()
    assert looks == pytest.approx([0, 2, 4], abs=2 * module.PAUSE)
    assert set(worker.pauses) == {module.PAUSE}


def test_it_takes_what_waits_without_a_pause(layer: Faulty, worker: Timed) -> None:
    for _ in range(10):
        layer.send("asgi.delay", LATER)
    for _ in range(10):
        worker.turn()
    assert (DelayedMessage.objects.count(), worker.pauses) == (10, [])


def test_a_lot_that_is_due_does_not_keep_it_from_taking_more(
    layer: Faulty, worker: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for number in range(5):
        message = DelayedMessage(channel_name="mail", content=f'{{"n": {number}}}')
        message.delay = number - 100
        message.save()
    counts: list[int] = []
    for _ in range(3):
        worker.turn()
        counts.append(DelayedMessage.objects.count())
    assert counts == [3, 1, 0]
    assert [layer.receive(["mail"])[1]["n"] for _ in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"channel": "mail", "content": {}}, "no delay"),
        ({}, "no channel, content, delay"),
        ({**NOW, "channel": None}, "the name"),
        ({**NOW, "channel": ""}, "the name"),
        ({**NOW, "channel": "x" * 513}, "the name"),
        ({**NOW, "content": "text"}, "a dict"),
        ({**NOW, "content": {"data": b"bytes"}}, "JSON"),
        ({**NOW, "delay": "soon"}, "milliseconds"),
        ({**NOW, "delay": None}, "milliseconds"),
        ({**NOW, "delay": float("nan")}, "milliseconds"),
        ({**NOW, "delay": 10**30}, "milliseconds"),
    ],
)
def test_a_bad_message_is_dropped_and_the_next_one_taken(
    content: Any, why: str, layer: Faulty, worker: Timed, caplog: pytest.LogCaptureFixture
) -> None:
    layer.send("asgi.delay", content)
    layer.send("asgi.delay", LATER)
    worker.turn()
    assert DelayedMessage.objects.count() == 0
    assert why in caplog.text
    worker.turn()
    assert DelayedMessage.objects.count() == 1


def test_what_is_no_dict() -> None:
    with pytest.raises(BadMessage, match="a list"):
        delayed([])


def test_what_cannot_be_sent_is_dropped(layer: Faulty, worker: Timed, caplog: pytest.LogCaptureFixture) -> None:
    """The layer takes no such name: it would not take it later either."""
    layer.send("asgi.delay", {**NOW, "channel": "no name at all"})
    layer.send("asgi.delay", NOW)
    worker.turn()
    assert "cannot be sent" in caplog.text
    worker.now = 1
    worker.turn()
    assert DelayedMessage.objects.count() == 0
    assert layer.receive(["mail"])[0] == "mail"


def test_a_full_channel_is_tried_again_later(worker: Timed) -> None:
    layer = worker.channel_layer = ChannelLayer(capacity=1)
    layer.send("mail", {})
    layer.send("asgi.delay", NOW)
    worker.turn()
    assert 0 < DelayedMessage.objects.get().delay <= 1000


def test_a_database_that_is_away(
    layer: Faulty, worker: Timed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_saving(monkeypatch, OperationalError("gone"), InterfaceError("closed"))
    layer.send("asgi.delay", LATER)
    worker.turn()
    assert DelayedMessage.objects.count() == 1
    assert worker.pauses == [1, 1]
    assert caplog.text.count("The database is away") == 2


def test_a_database_that_is_away_when_something_is_due(
    worker: Timed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(DelayedMessage.objects, "is_due", failing)
    worker.turn()
    worker.turn()
    assert caplog.text.count("The database is away") == 1, "it is looked into again after a while only"


def test_what_the_database_does_not_take_is_dropped(
    layer: Faulty, worker: Timed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_saving(monkeypatch, DataError("too much"))
    layer.send("asgi.delay", LATER)
    worker.turn()
    assert (DelayedMessage.objects.count(), worker.pauses) == (0, [])
    assert "does not take it" in caplog.text


def test_what_cannot_be_stored_before_the_end_is_given_back(
    layer: Faulty, worker: Timed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_saving(monkeypatch, *[OperationalError("gone")] * 9)
    worker.on_pause = lambda: worker.sigterm_handler(signal.SIGTERM, None)
    layer.send("asgi.delay", LATER)
    worker.run()
    assert layer.receive(["asgi.delay"]) == ("asgi.delay", LATER)
    assert "given back" in caplog.text


def test_what_can_neither_be_stored_nor_given_back_is_told(
    layer: Faulty, worker: Timed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_saving(monkeypatch, *[OperationalError("gone")] * 9)

    def end() -> None:
        worker.termed = True
        layer.faults = [BridgeUnavailable("nobody")]

    worker.on_pause = end
    layer.send("asgi.delay", LATER)
    worker.run()
    assert "is lost: {'channel': 'mail'" in caplog.text


def test_a_bridge_that_is_away(layer: Faulty, worker: Timed, caplog: pytest.LogCaptureFixture) -> None:
    layer.faults = [BridgeUnavailable("nobody")]
    worker.turn()
    assert "No bridge" in caplog.text
    layer.send("asgi.delay", NOW)
    worker.now += 1
    worker.turn()
    assert layer.receive(["mail"])[0] == "mail"


def test_a_bridge_that_is_away_when_something_is_due(
    layer: Faulty, worker: Timed, caplog: pytest.LogCaptureFixture
) -> None:
    layer.send("asgi.delay", LATER)
    worker.turn()
    DelayedMessage.objects.update(due_date="2001-01-01T00:00:00Z")
    worker.now = 1
    layer.faults = [BridgeUnavailable("for receive"), BridgeUnavailable("for send")]
    worker.turn()
    assert "what is due waits" in caplog.text
    assert DelayedMessage.objects.count() == 1
    worker.now = 9
    worker.turn()
    assert layer.receive(["mail"])[0] == "mail"


def test_the_end_comes_between_two_messages(layer: Faulty, worker: Timed) -> None:
    for _ in range(3):
        message = DelayedMessage(channel_name="mail", content="{}")
        message.delay = -1
        message.save()
    layer.on_send = lambda: worker.sigterm_handler(signal.SIGTERM, None)
    worker.run()
    assert DelayedMessage.objects.count() == 2


def test_it_ends_by_signals(layer: Faulty) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    worker = Timed(layer)
    worker.signal_handlers = True
    worker.on_pause = lambda: signal.raise_signal(signal.SIGTERM)
    try:
        worker.run()
        worker.termed = False
        worker.on_pause = lambda: signal.raise_signal(signal.SIGINT)
        worker.run()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert worker.termed
