"""A fault at every step of a few dialogues: each client sees each answer once, or is told why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channels_bridge import Config
from channels_bridge.testing.faults import Aborted, At, Closed, Faults, Site
from faults import consumers

pytestmark = pytest.mark.anyio

FAULTS: dict[str, Callable[[At], object]] = {
    "killed": lambda at: at.kill(),
    "killed, heard": lambda at: at.kill(said=True),
    "frozen for a moment": lambda at: at.freeze(2.0),
    "frozen, suspected": lambda at: at.freeze(6.0),
    "frozen, back as the verdict falls": lambda at: at.freeze(10.0),
    "frozen, back too late": lambda at: at.freeze(15.0),
    "cut off": lambda at: at.drop(),
    "a message late": lambda at: at.delay(),
    "a message seconds late": lambda at: at.delay(4.0),
}
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@every_fault
async def test_a_chat_says_everything_once_and_in_order(faults: Faults, fault: Callable[[At], object]) -> None:
    async def scenario(site: Site) -> None:
        ann, bob = await site.websocket("/ann/"), await site.websocket("/bob/")
        said = ["ann 1 one", "ann 2 two", "ann 3 again", "bob 1 one", "ann 4 end"]
        for client, text in ((ann, "one"), (ann, "two"), (bob, "one"), (ann, "end")):
            await client.send(text)
            await site.until(lambda: True)
        for client in (ann, bob):
            heard = [await client.receive() for _ in said]
            assert [line for line in heard if str(line).startswith("ann")] == said[:3] + said[4:]
            assert sorted(map(str, heard)) == sorted(said)
            await client.quiet()

    assert await faults.every_step(scenario, consumers.Chat, fault) > 15


@every_fault
async def test_a_sync_consumer_adds_up_each_message_once(faults: Faults, fault: Callable[[At], object]) -> None:
    async def scenario(site: Site) -> None:
        client = await site.websocket("/")
        for number in (1, 2, 3):
            await client.send("1")
            await client.send("1")
            assert [await client.receive(), await client.receive()] == [str(2 * number - 1), str(2 * number)]
        await client.quiet()

    assert await faults.every_step(scenario, consumers.SyncSum, fault) > 10


@every_fault
async def test_an_application_that_saves_adds_up_each_message_once(
    faults: Faults, fault: Callable[[At], object]
) -> None:
    """Before it has saved it stays with its worker: its accept may be out, and is not repeated."""

    async def scenario(site: Site) -> None:
        client = await site.websocket("/")
        for _ in range(4):
            await client.send("1")
        heard: list[str | bytes] = []
        code = 0
        try:
            while len(heard) < 4:
                heard.append(await client.receive())
            await client.quiet()
        except Closed as closed:
            code = closed.code
        early = bool(site.plan.happened) and site.plan.happened[0].number <= 2
        assert (heard, code) == (["1", "2", "3", "4"], 0) or (early and (heard, code) == ([], 1011))

    assert await faults.every_step(scenario, consumers.saving, fault) >= 5


async def test_what_has_been_done_is_not_done_twice(faults: Faults) -> None:
    async def scenario(site: Site) -> None:
        client = await site.websocket("/ann/")
        await client.send("one")
        assert await client.receive() == "ann 1 one"
        await client.send("two")
        assert [await client.receive(), await client.receive()] == ["ann 2 two", "ann 3 again"]
        await client.quiet()

    assert await faults.every_step(scenario, consumers.Chat, "duplicate") > 8


@every_fault
@pytest.mark.parametrize("app", [consumers.Sum, consumers.application], ids=["consumer", "application"])
async def test_what_cannot_move_answers_once_or_is_closed(
    faults: Faults, fault: Callable[[At], object], app: Any
) -> None:
    """Handshakes that were not read are another worker's; later there is 1011."""

    async def scenario(site: Site) -> None:
        heard: list[str | bytes] = []
        code = 0
        try:
            client = await site.websocket("/")
            for _ in range(3):
                await client.send("1")
                heard.append(await client.receive())
        except Closed as closed:
            code = closed.code
        assert heard == ["1", "2", "3"][: len(heard)]
        assert code in ((0,) if len(heard) == 3 else (1011, 502))

    assert await faults.every_step(scenario, app, fault) > 7


@every_fault
@pytest.mark.parametrize("app", [consumers.Answer, consumers.application], ids=["consumer", "application"])
async def test_a_request_is_answered_or_fails_clearly(faults: Faults, fault: Callable[[At], object], app: Any) -> None:
    answers: list[tuple[int, str]] = []

    async def scenario(site: Site) -> None:
        for path in ("/a", "/b"):
            try:
                response = await site.get(path)
            except Aborted:
                answers.append((0, ""))
            else:
                answers.append((response.status, response.text.rstrip("!")))
                assert response.status in (200, 502)

    runs = await faults.every_step(scenario, app, fault, config=Config())
    assert runs > 3
    assert {answer for answer in answers if answer[0] == 200} == {(200, "/a"), (200, "/b")}
