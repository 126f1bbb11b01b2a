"""``channels-bridge letters``: list, show, replay and drop, over all bridges of an address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels_bridge.bridge.commands.letters import parts
from channels_bridge.shared import wire
from channels_bridge.shared.config import Config
from commands_site import Site, command, letter, running
from halves import directory

QUICK = Config(http_queue=0.1)


@pytest.fixture
def site() -> Iterator[Site]:
    with directory() as url, running(url, config=QUICK) as [site]:
        yield site


# -- list and show ---------------------------------------------------------------------------------------------


def test_there_are_none(site: Site) -> None:
    assert command("letters", "-b", site.url).output == "there are no dead letters\n"
    assert json.loads(command("letters", "-j", "-b", site.url).output) == {"letters": []}


def test_they_are_listed_oldest_first(site: Site) -> None:
    names = [site.set_aside() for _ in range(2)]
    for args in (("letters",), ("letters", "list")):
        done = command(*args, "-b", site.url)
        assert done.exit_code == 0
        rows = [line.split() for line in done.output.splitlines() if "default" in line]
        assert [row[0] for row in rows] == sorted(names)
        assert rows[0][3:] == ["default", "/chat/", "websocket.receive", "3", "a,", "b"]


def test_the_list_as_json(site: Site) -> None:
    name = site.set_aside()
    [found] = json.loads(command("letters", "list", "-j", "-b", site.url).output)["letters"]
    assert (found["id"], found["pool"], found["workers"], found["again_of"]) == (name, "default", ["a", "b"], "")


def test_one_is_shown_without_what_logs_people_in(site: Site) -> None:
    name = site.set_aside()
    done = command("letters", "show", name, "-b", site.url)
    assert done.exit_code == 0
    assert "'poison'" in done.output
    assert "b'/chat/'" in done.output or "'/chat/'" in done.output
    assert "session=1" not in done.output
    assert "session=1" in command("letters", "show", "--secrets", name, "-b", site.url).output


def test_one_is_shown_as_people_read_it(site: Site) -> None:
    state = wire.pack_event({"type": "state", "sent": [], "state": {"total": 3}})
    name, without = site.set_aside(letter()._replace(state=state)), site.set_aside(letter()._replace(state=b""))
    lines = command("letters", "show", name, "-b", site.url).output.splitlines()
    assert f"id           {name}" in lines
    assert "lost with it a, b" in lines
    assert "path         /chat/" in lines
    assert "state        {'total': 3}" in lines
    assert not any(line.startswith("again of") for line in lines)
    assert "state" not in command("letters", "show", without, "-b", site.url).output


def test_a_letter_that_was_replayed_names_the_older_one() -> None:
    row: dict[str, Any] = {"scope": {}, "message": {}, "at": 0.0, "again_of": "abc", "state": b"", "path": "/\x1b[2J"}
    assert "again of     abc" in parts(row)
    assert r"path         '/\x1b[2J'" in parts(row)  # nothing that a client sent steers a terminal


def test_one_as_json(site: Site) -> None:
    name = site.set_aside()
    found = json.loads(command("letters", "show", name, "-j", "-b", site.url).output)
    assert found["message"] == {"type": "websocket.receive", "text": "poison", "bytes": {"base64": "/w=="}}
    assert found["scope"]["headers"] == [["host", "h"], ["cookie", "(hidden; --secrets shows it)"]]
    assert found["state"] == {"base64": "gA=="}


def test_one_that_is_not_there(site: Site) -> None:
    done = command("letters", "show", "0" * 16, "-b", site.url)
    assert done.exit_code == 1
    assert f"there is no dead letter {'0' * 16}" in done.output


# -- replay and drop -------------------------------------------------------------------------------------------


def test_a_replay_that_comes_to_nothing_is_said_and_the_letter_stays(site: Site) -> None:
    name = site.set_aside()
    done = command("letters", "replay", name, "-b", site.url)
    assert (done.exit_code, done.output) == (1, f"{name}: no-worker\n")
    assert site.letters() == [name]


def test_all_are_replayed(site: Site) -> None:
    names = sorted(site.set_aside() for _ in range(3))
    done = command("letters", "replay", "--all", "-j", "-b", site.url)
    assert done.exit_code == 1
    found = json.loads(done.output)["letters"]
    assert [(row["id"], row["outcome"]) for row in found] == [(name, "no-worker") for name in names]


def test_some_are_dropped_and_one_is_not_there(site: Site) -> None:
    name, other = site.set_aside(), site.set_aside()
    done = command("letters", "drop", name, "-b", site.url)
    assert (done.exit_code, done.output) == (0, f"{name}: dropped\n")
    done = command("letters", "drop", name, other, "-b", site.url)
    assert done.exit_code == 1
    assert done.output == f"{name}: unknown, there is no such letter\n{other}: dropped\n"
    assert site.letters() == []


def test_all_of_none(site: Site) -> None:
    done = command("letters", "drop", "--all", "-b", site.url)
    assert (done.exit_code, done.output) == (1, "there are no dead letters\n")
    done = command("letters", "replay", "--all", "-j", "-b", site.url)
    assert (done.exit_code, json.loads(done.output)) == (1, {"letters": []})


@pytest.mark.parametrize("args", [[], ["x", "--all"]])
def test_it_has_to_be_said_which(site: Site, args: list[str]) -> None:
    done = command("letters", "drop", *args, "-b", site.url)
    assert done.exit_code == 2
    assert "which ones? channels-bridge letters drop ID..., or --all" in done.output


def test_a_bridge_that_falls_silent_leaves_the_others_their_outcomes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = site.set_aside()

    def forgets(_: object) -> None:
        """Take the question, and never answer."""

    monkeypatch.setattr(site.operating, "_replay", forgets)
    monkeypatch.setattr("channels_bridge.bridge.commands.letters.WAITING", 0.1)
    done = command("letters", "replay", name, "-b", site.url)
    assert done.exit_code == 1
    assert f"{name}: unanswered, {site.url}bridge-0.sock: no answer for 0.1 s" in done.output


# -- several bridges -------------------------------------------------------------------------------------------


def test_each_bridge_has_its_own_in_memory() -> None:
    with directory() as url, running(url, url, config=QUICK) as [one, two]:
        first, second = one.set_aside(), two.set_aside(letter("cpu"))
        found = json.loads(command("letters", "-j", "-b", url).output)["letters"]
        assert {row["id"]: row["pool"] for row in found} == {first: "default", second: "cpu"}
        assert command("letters", "drop", "--all", "-b", url).exit_code == 0
        assert one.letters() == two.letters() == []


def test_a_folder_is_shared_and_nothing_in_it_is_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    with directory() as url, running(url, url, config=QUICK, dead_letters=folder) as [one, two]:
        name = one.set_aside()
        assert two.letters() == [name]
        assert len(json.loads(command("letters", "-j", "-b", url).output)["letters"]) == 1
        done = command("letters", "replay", "--all", "-j", "-b", url)
        assert [row["outcome"] for row in json.loads(done.output)["letters"]] == ["no-worker"]
        assert command("letters", "drop", name, "-b", url).exit_code == 0
        assert one.letters() == two.letters() == []
