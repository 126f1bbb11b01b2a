"""Where dead letters are kept: bounded, in order, each handed out once, and in a folder across processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channels_bridge.bridge.core.letters import Letter
from channels_bridge.bridge.letters import InFolder, InMemory, Kept, Letters, make_id, open_letters
from channels_bridge.shared import wire
from channels_bridge.shared.config import Config
from channels_bridge.shared.errors import ConfigurationError

LETTER = Letter("default", "websocket", b"scope", b"state", "replay", True, 3, b"event", 2, ["a", "b"], 7)
Open = Callable[..., Letters]


def kept(number: int, size: int = 0, again_of: str = "") -> Kept:
    """Make a letter; ids sort as numbers do."""
    return Kept(f"{number:016x}", float(number), again_of, LETTER._replace(event=bytes(size)))


def names(letters: Letters) -> list[int]:
    found = letters.all()
    assert letters.count == len(found)
    return [int(each.id, 16) for each in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "letters"


@pytest.fixture(params=["memory", "folder"])
def opened(request: pytest.FixtureRequest, folder: Path) -> Open:
    def make(**settings: Any) -> Letters:
        return open_letters(folder if request.param == "folder" else None, Config(**settings))

    return make


# -- in both ---------------------------------------------------------------------------------------------------


def test_a_letter_comes_out_as_it_went_in(opened: Open) -> None:
    letters = opened()
    one, two = kept(1), kept(2, again_of="f" * 16)
    letters.add(one)
    letters.add(two)
    assert letters.all() == [one, two]
    assert letters.get(two.id) == two
    assert letters.get("0" * 16) is None


def test_a_letter_is_handed_out_once(opened: Open) -> None:
    letters = opened()
    one = kept(1)
    letters.add(one)
    assert letters.take(one.id) == one
    assert letters.take(one.id) is None
    letters.put_back(one.id)
    assert letters.take(one.id) == one
    letters.remove(one.id)
    assert letters.take(one.id) is None
    assert names(letters) == []
    letters.put_back(one.id)
    letters.remove(one.id)  # again is no error


def test_a_letter_that_is_out_is_listed(opened: Open) -> None:
    letters = opened()
    letters.add(kept(1))
    letters.take(kept(1).id)
    assert names(letters) == [1]
    letters.put_back(kept(1).id)


def test_the_oldest_goes_first(opened: Open) -> None:
    letters = opened(dead_letters=2)
    for number in (1, 2, 3, 4):
        letters.add(kept(number))
    assert names(letters) == [3, 4]
    assert letters.dropped == 2


def test_bytes_are_bounded_as_well(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    letters = opened(dead_letter_bytes=10_000)
    letters.add(kept(1, 4000))
    letters.add(kept(2, 4000))
    letters.add(kept(3, 4000))
    assert names(letters) == [2, 3]
    assert caplog.messages == [f"dead letter {kept(1).id} was dropped: there is room for no more"]
    letters.remove(kept(2).id)
    letters.add(kept(4, 4000))
    assert names(letters) == [3, 4]


def test_one_that_is_too_large_by_itself_is_not_kept(opened: Open) -> None:
    letters = opened(dead_letter_bytes=1000)
    letters.add(kept(1, 2000))
    assert names(letters) == []
    assert letters.dropped == 1


@pytest.mark.parametrize("name", ["", "x", "../../../etc/passwd", "0" * 15, "0" * 16 + "\n", "G" * 16])
def test_what_is_no_id_names_nothing(opened: Open, name: str) -> None:
    letters = opened()
    letters.add(kept(1))
    assert letters.get(name) is None
    assert letters.take(name) is None


def test_ids_are_sorted_by_time_and_differ() -> None:
    ids = [make_id(at) for at in (0.0, 1.0, 1_800_000_000.0, 1_800_000_000.001, 4_000_000_000.0)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {16}
    assert len({make_id(1.0) for _ in range(50)}) > 45


# -- in a folder -----------------------------------------------------------------------------------------------


def test_the_folder_and_its_files_are_private(folder: Path) -> None:
    InFolder(folder, Config()).add(kept(1))
    [file] = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_letters_are_there_again_after_a_restart(folder: Path) -> None:
    InFolder(folder, Config()).add(kept(1))
    assert InFolder(folder, Config()).all() == [kept(1)]


def test_of_two_processes_one_gets_a_letter(folder: Path) -> None:
    one, two = InFolder(folder, Config()), InFolder(folder, Config())
    one.add(kept(1))
    assert two.take(kept(1).id) == kept(1)
    assert one.take(kept(1).id) is None
    two.remove(kept(1).id)
    assert one.take(kept(1).id) is None
    assert names(one) == []


def test_one_that_is_replayed_elsewhere_makes_no_room(folder: Path) -> None:
    one, two = InFolder(folder, Config(dead_letters=1)), InFolder(folder, Config())
    one.add(kept(1))
    two.take(kept(1).id)
    one.add(kept(2))
    assert names(one) == [1, 2]
    two.put_back(kept(1).id)


def test_what_a_killed_process_had_is_there_again(folder: Path) -> None:
    """The kernel lets go of its locks."""
    letters = InFolder(folder, Config())
    letters.add(kept(1))
    program = """
import os, sys
from pathlib import Path
from channels_bridge.bridge.letters import InFolder
from channels_bridge.shared.config import Config
letters = InFolder(Path(sys.argv[1]), Config())
print(letters.take(sys.argv[2]) is not None, flush=True)
os.read(0, 1)
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", program, str(folder), kept(1).id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert letters.take(kept(1).id) is None
        process.communicate(b"x", timeout=20.0)
    assert letters.take(kept(1).id) == kept(1)
    letters.put_back(kept(1).id)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        wire.pack_event({"type": "websocket.receive"}),
        wire.pack_event({"type": "letter", "format": 0}),
        wire.pack_event({"type": "letter", "format": 1, "id": "x"}),
        wire.pack_event({"type": "letter", "format": 1, "id": "x", "at": 1.0, "again_of": "", "letter": {"pool": "x"}}),
        wire.pack_event({"type": "letter", "format": 1, "id": "x", "at": 1.0, "again_of": "", "letter": 5}),
    ],
)
def test_a_file_that_is_no_letter_is_left_alone(folder: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    letters = InFolder(folder, Config())
    letters.add(kept(2))
    (folder / f"{1:016x}.letter").write_bytes(data)
    (folder / "readme.txt").write_text("x")
    (folder / "x.letter").write_text("x")
    assert letters.all() == [kept(2)]
    assert letters.take(f"{1:016x}") is None
    assert letters.take(f"{1:016x}") is None  # and its lock was given back
    assert f"dead letter {1:016x} cannot be read" in caplog.text


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match=f"chmod 700 {folder}"):
        InFolder(folder, Config())


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="dead letters cannot be kept in"):
        InFolder(tmp_path / "file" / "letters", Config())


def test_a_folder_that_vanishes_is_an_error_in_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    letters = InFolder(folder, Config())
    folder.rmdir()
    letters.add(kept(1))
    assert f"dead letter {kept(1).id} could not be written" in caplog.text
    assert letters.dropped == 1


def test_a_letter_that_cannot_be_put_in_place_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = InFolder(folder, Config())

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "rename", full)
    letters.add(kept(1))
    assert list(folder.iterdir()) == []
    assert letters.dropped == 1


def test_without_a_folder_letters_are_in_memory() -> None:
    assert isinstance(open_letters(None, Config()), InMemory)
    assert isinstance(open_letters("", Config()), InMemory)
