"""Where dead letters are kept: in this process, or as files that all bridge processes of the machine share.

A letter that is handed out for a replay is *taken*: nobody else gets it until it is put back or removed. In a folder
that is a lock on its file, which the kernel lets go of when the process ends, however it ends: a letter
whose replay was cut short is there again. Both stores are bounded; the oldest letter goes first, and is counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..shared import wire
from ..shared.config import KIB, Config
from ..shared.errors import ConfigurationError, RemoteProtocolError
from .core.letters import Letter

logger = logging.getLogger("channels_bridge.bridge")

FORMAT = 1  # of the files
AROUND = KIB // 2  # bytes of a letter beside scope, state and event
SUFFIX = ".letter"
_ID = re.compile(r"[0-9a-f]{16}\Z")


class Kept(NamedTuple):
    """A letter in a store."""

    id: str
    at: float  # when it was set aside: seconds since 1970
    again_of: str  # id of the letter whose replay it comes from; empty: of none
    letter: Letter

    @property
    def size(self) -> int:
        """Give the bytes that it counts for."""
        return AROUND + len(self.letter.scope) + len(self.letter.state) + len(self.letter.event)


def make_id(at: float) -> str:
    """Make an id of 16 hex digits: sorted by time, and different for each letter of the machine."""
    return f"{int(at * 1000):011x}{int.from_bytes(os.urandom(3), 'big') >> 4:05x}"


class Letters(Protocol):
    """A store. ``dropped``: letters that this process gave up for want of room."""

    dropped: int

    def add(self, kept: Kept) -> None:
        """Keep a letter, and drop the oldest ones that find no room beside it. Does not raise."""
        ...

    @property
    def count(self) -> int:
        """Say how many are kept."""
        ...

    def all(self) -> list[Kept]:
        """Give all letters, oldest first."""
        ...

    def get(self, name: str) -> Kept | None:
        """Give a letter, or None where there is none of this id."""
        ...

    def take(self, name: str) -> Kept | None:
        """Take a letter, so that nobody else can; None where there is none, or another has it."""
        ...

    def put_back(self, name: str) -> None:
        """Give a taken letter back."""
        ...

    def remove(self, name: str) -> None:
        """End a taken letter for good."""
        ...


class InMemory:
    """Letters of one process, which end with it."""

    def __init__(self, config: Config) -> None:
        self.dropped = 0
        self._most, self._most_bytes = config.dead_letters, config.dead_letter_bytes
        self._kept: dict[str, Kept] = {}  # id -> letter, oldest first
        self._taken: set[str] = set()
        self._size = 0

    def add(self, kept: Kept) -> None:
        """As :meth:`Letters.add`."""
        self._kept[kept.id] = kept
        self._size += kept.size
        for name in list(self._kept):
            if len(self._kept) <= self._most and self._size <= self._most_bytes:
                return
            self.dropped += 1
            logger.warning("dead letter %s was dropped: there is room for no more", name)
            self.remove(name)

    @property
    def count(self) -> int:
        """As :attr:`Letters.count`."""
        return len(self._kept)

    def all(self) -> list[Kept]:
        """As :meth:`Letters.all`."""
        return list(self._kept.values())

    def get(self, name: str) -> Kept | None:
        """As :meth:`Letters.get`."""
        return self._kept.get(name)

    def take(self, name: str) -> Kept | None:
        """As :meth:`Letters.take`."""
        if name in self._taken or name not in self._kept:
            return None
        self._taken.add(name)
        return self._kept[name]

    def put_back(self, name: str) -> None:
        """As :meth:`Letters.put_back`."""
        self._taken.discard(name)

    def remove(self, name: str) -> None:
        """As :meth:`Letters.remove`; one that was dropped meanwhile is no error."""
        self._taken.discard(name)
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._size -= kept.size


class InFolder:
    """Letters as files, one each, in a folder that only this user may enter. On a local file system: it needs locks.

    Raises ``ConfigurationError`` for a folder that cannot be used.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.dropped = 0
        self._most, self._most_bytes = config.dead_letters, config.dead_letter_bytes
        self._folder = folder
        self._taken: dict[str, int] = {}  # id -> descriptor that holds the lock
        _check_folder(folder)

    def add(self, kept: Kept) -> None:
        """As :meth:`Letters.add`. Written whole or not at all, should this process be killed meanwhile."""
        try:
            self._write(kept)
            self._make_room()
        except OSError as error:
            self.dropped += 1
            logger.error("dead letter %s could not be written: %s", kept.id, error)

    def _write(self, kept: Kept) -> None:
        descriptor, name = tempfile.mkstemp(prefix="new-", dir=self._folder)  # with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_pack(kept))
            os.rename(name, self._path(kept.id))
        except BaseException:
            os.unlink(name)
            raise

    def _make_room(self) -> None:
        sizes: dict[Path, int] = {}
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):  # another process has removed it
                sizes[path] = path.stat().st_size
        count, size = len(sizes), sum(sizes.values())
        for path, bytes_ in sizes.items():
            if count <= self._most and size <= self._most_bytes:
                return
            count, size = count - 1, size - bytes_
            if self._lock(path.stem) is not None:
                self.dropped += 1
                logger.warning("dead letter %s was dropped: there is room for no more", path.stem)
                self.remove(path.stem)

    @property
    def count(self) -> int:
        """As :attr:`Letters.count`."""
        return sum(1 for _ in self._paths())

    def all(self) -> list[Kept]:
        """As :meth:`Letters.all`."""
        return [kept for path in self._paths() if (kept := self.get(path.stem)) is not None]

    def get(self, name: str) -> Kept | None:
        """As :meth:`Letters.get`."""
        if not _ID.match(name):
            return None
        try:
            return _unpack(self._path(name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, RemoteProtocolError) as error:
            logger.warning("dead letter %s cannot be read: %s", name, error)
            return None

    def take(self, name: str) -> Kept | None:
        """As :meth:`Letters.take`."""
        if not _ID.match(name) or self._lock(name) is None:
            return None
        kept = self.get(name)
        if kept is None:
            self.put_back(name)
        return kept

    def _lock(self, name: str) -> int | None:
        """Lock a letter's file, and give its descriptor; None where it is gone, or another has it."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:  # who had it before has removed it, between our open and our lock
            os.close(descriptor)
            return None
        self._taken[name] = descriptor
        return descriptor

    def put_back(self, name: str) -> None:
        """As :meth:`Letters.put_back`."""
        descriptor = self._taken.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """As :meth:`Letters.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()
        self.put_back(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _paths(self) -> Iterator[Path]:
        """Give the files, oldest first."""
        names = sorted(name for name in os.listdir(self._folder) if name.endswith(SUFFIX))
        return (self._folder / name for name in names if _ID.match(name.removesuffix(SUFFIX)))


def open_letters(folder: str | os.PathLike[str] | None, config: Config) -> Letters:
    """Give the store: files in this folder, or without one this process's memory. Raises ``ConfigurationError``."""
    return InFolder(Path(folder), config) if folder else InMemory(config)


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ConfigurationError(f"dead letters cannot be kept in {folder}: {error}") from error
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigurationError(
            f"dead letters hold what clients sent, and {folder} is open to others"
            f" (mode {stat.S_IMODE(status.st_mode):04o}, user {status.st_uid}): make it private: chmod 700 {folder}"
        )


def _pack(kept: Kept) -> bytes:
    fields: dict[str, Any] = kept.letter._asdict()
    return wire.pack_event(
        {"type": "letter", "format": FORMAT, "id": kept.id, "at": kept.at, "again_of": kept.again_of, "letter": fields}
    )


def _unpack(data: bytes) -> Kept:
    """Read what :func:`_pack` wrote. Raises ``RemoteProtocolError``."""
    found = wire.unpack_event(data)
    if (found["type"], found.get("format")) != ("letter", FORMAT):
        raise RemoteProtocolError("it is not a letter, or one of another release")
    try:
        return Kept(found["id"], found["at"], found["again_of"], Letter(**found["letter"]))
    except (KeyError, TypeError) as error:
        raise RemoteProtocolError(f"it is not a whole letter: {error}") from error
