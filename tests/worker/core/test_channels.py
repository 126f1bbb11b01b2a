"""Boxes: order, bounds, expiry, and receivers that come and leave in the same moment as a message."""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import Any

from channels_bridge.worker.core.channels import Bounds, Box, Channel, Content, Statistics, Waiter

BOUNDS = Bounds(2, 60.0, 1000.0)
NOW = 100.0


def box(bounds: Bounds = BOUNDS) -> Box:
    return Box(bounds, Statistics())


def waiting(at: Box) -> Waiter:
    waiter = Waiter()
    assert at.wait(waiter)
    return waiter


def test_what_waits_is_taken_in_order_and_then_receivers_wait() -> None:
    one = box()
    assert [one.offer(b"1", NOW), one.offer(b"2", NOW)] == [None, None]
    assert [one.pop(NOW), one.pop(NOW), one.pop(NOW)] == [b"1", b"2", None]
    first, second = waiting(one), waiting(one)
    assert one.offer(b"3", NOW) is first
    assert one.offer(b"4", NOW) is second
    assert (first.result, second.result, one.pop(NOW)) == (b"3", b"4", None)


def test_a_full_box_takes_no_more_and_counts_it() -> None:
    one = box()
    for _ in range(2):
        one.offer(b"x", NOW)
    assert one.offer(b"x", NOW) is False
    assert one.offer(b"x", NOW, capacity=3) is None
    assert one.offer(b"x", NOW, capacity=1) is False
    assert one.statistics.full == 2


def test_what_has_expired_takes_no_room_and_is_counted() -> None:
    one = box()
    one.offer(b"short", NOW, expiry=1.0)
    one.offer(b"long", NOW)
    assert one.offer(b"x", NOW + 0.9) is False
    assert one.offer(b"x", NOW + 1.0) is None
    assert [one.pop(NOW + 59.0), one.pop(NOW + 60.0), one.pop(NOW + 62.0)] == [b"long", b"x", None]
    one.offer(b"late", NOW)
    assert one.pop(NOW + 60.0) is None
    assert one.statistics.expired == 2


def test_who_takes_is_given_what_waits_or_waits() -> None:
    one = box()
    one.offer(b"1", NOW)
    happy, patient = Waiter(), Waiter()
    assert one.take(happy, NOW)
    assert (happy.result, happy.place) == (b"1", one)
    assert not one.take(patient, NOW)
    assert one.offer(b"2", NOW) is patient


def test_who_leaves_gets_nothing_and_what_it_was_given_is_the_first_again() -> None:
    one = box()
    leaves, given = waiting(one), waiting(one)
    assert not one.leave(leaves, NOW)
    assert one.offer(b"1", NOW) is given
    one.offer(b"2", NOW)
    assert not one.leave(given, NOW)
    assert [one.pop(NOW), one.pop(NOW)] == [b"1", b"2"]
    assert (leaves.result, given.result) == (None, None)


def test_what_somebody_left_is_for_the_next_who_waits() -> None:
    one = box()
    leaves, stays = waiting(one), waiting(one)
    one.offer(b"1", NOW)
    assert one.leave(leaves, NOW)
    assert one.match() is stays
    assert stays.result == b"1"
    assert one.match() is None


class Hooked(deque[Any]):
    """A deque at which something happens just before one of its operations: what another thread does meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Any] = {}  # name of the operation -> what happens before it, once

    def _happen(self, name: str) -> None:
        self.before.pop(name, lambda: None)()

    def append(self, item: Any) -> None:
        self._happen("append")
        super().append(item)

    def popleft(self) -> Any:
        self._happen("popleft")
        return super().popleft()

    def remove(self, item: Any) -> None:
        self._happen("remove")
        super().remove(item)


def hooked() -> tuple[Box, Hooked, Hooked]:
    one, queue, waiters = box(), Hooked(), Hooked()
    one.queue, one.waiters = queue, waiters
    return one, queue, waiters


def test_a_receiver_that_comes_as_a_message_is_put_down_is_given_it() -> None:
    one, queue, _ = hooked()
    waiter = Waiter()
    queue.before["append"] = lambda: one.wait(waiter)
    assert one.offer(b"1", NOW) is waiter
    assert (waiter.result, list(queue)) == (b"1", [])


def test_a_message_that_comes_as_a_receiver_sits_down_is_seen_by_it() -> None:
    one, _, waiters = hooked()
    waiters.before["append"] = lambda: one.offer(b"1", NOW)
    assert not one.wait(Waiter())
    assert one.pop(NOW) == b"1"
    assert not waiters


def test_a_receiver_that_leaves_as_it_is_given_something_does_not_get_it() -> None:
    one, _, waiters = hooked()
    leaves, stays = waiting(one), waiting(one)
    waiters.before["remove"] = lambda: one.leave(leaves, NOW)
    assert one.offer(b"1", NOW) is stays
    waiting_again = waiting(one)
    waiters.before["remove"] = lambda: one.leave(waiting_again, NOW)
    assert one.offer(b"2", NOW) is None
    assert one.pop(NOW) == b"2"


def test_a_message_that_is_taken_as_another_hand_reaches_for_it_is_taken_once() -> None:
    one, queue, _ = hooked()
    one.offer(b"1", NOW)
    queue.before["popleft"] = lambda: one.pop(NOW)
    assert one.pop(NOW) is None
    one.offer(b"old", NOW)
    queue.before["remove"] = lambda: one.pop(NOW)
    one.expire(NOW + 60.0)
    one.waiters.append(Waiter())
    queue.append((NOW + 60.0, b"3"))
    queue.before["popleft"] = lambda: one.pop(NOW)
    assert one.match() is None


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    """One thread gives, three take, and leave now and then; all that was given is had, once."""
    one = box(Bounds(10**9, 60.0, 0.0))
    count, had = 3000, deque[Content]()
    over = threading.Event()

    def receive(seed: int) -> None:
        chance = random.Random(seed)
        while not (over.is_set() and not one.queue):
            content = one.pop(NOW)
            if content is not None:
                had.append(content)
                continue
            waiter = Waiter()
            if one.wait(waiter):
                while waiter.result is None and chance.random() < 0.9 and not over.is_set():
                    pass
                if waiter.result is None or chance.random() < 0.5:
                    one.leave(waiter, NOW)
                else:
                    had.append(waiter.result)  # type: ignore[arg-type]

    threads = [threading.Thread(target=receive, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for number in range(count):
        one.offer(b"%d" % number, NOW)
        one.match()
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(map(bytes, had)) == sorted(b"%d" % number for number in range(count))  # type: ignore[arg-type]


# -- channels --------------------------------------------------------------------------------------------------


def channel(*, received: bool = True, copied: bool = False) -> Channel:
    made = Channel("c", 1, BOUNDS, Statistics())
    made.received, made.copied, made.used_at = received, copied, NOW
    return made


def test_a_channel_is_left_when_its_name_is_gone() -> None:
    one = channel()
    assert not one.is_left(NOW + 10000.0)
    one.named = False
    assert one.is_left(NOW)


def test_a_channel_is_not_left_while_somebody_waits() -> None:
    one = channel()
    one.named = False
    waiter = waiting(one)
    assert not one.is_left(NOW + 10000.0)
    one.leave(waiter, NOW)
    assert one.is_left(NOW)


def test_a_channel_lingers_after_a_copy_of_its_name_was_used() -> None:
    one = channel(copied=True)
    one.named = False
    assert not one.is_left(NOW + BOUNDS.linger - 1)
    assert one.is_left(NOW + BOUNDS.linger)


def test_a_channel_on_which_nobody_has_received_lasts_as_long_as_a_message() -> None:
    one = channel(received=False)
    one.named = False
    assert not one.is_left(NOW + BOUNDS.expiry - 1)
    assert one.is_left(NOW + BOUNDS.expiry)
