"""The migration makes the table, or takes over that of Channels 1, with what waits in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

# What Channels 1.1.8 has made of a database, on Django 1.11, as sqlite tells it.
OLD = """
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL,
    "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
CREATE TABLE "channels.delay_delayedmessage" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "due_date" datetime NOT NULL, "channel_name" varchar(512) NOT NULL, "content" text NOT NULL);
CREATE INDEX "channels.delay_delayedmessage_due_date_702552e5" ON "channels.delay_delayedmessage" ("due_date");
INSERT INTO "django_migrations" VALUES (1, 'channels.delay', '0001_initial', '2017-11-29 10:00:00');
INSERT INTO "channels.delay_delayedmessage" VALUES (1, '2017-11-29 10:00:00', 'mail', '{"to": "you"}');
"""
SCHEMA = "SELECT type, name FROM sqlite_master WHERE name LIKE 'channels.delay%' ORDER BY name"


class Database:
    """One more database of the project."""

    def __init__(self, alias: str, file: Path) -> None:
        self._alias = alias
        handler: Any = connections
        both = {"default": {}, alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}}
        handler.settings[alias] = handler.configure_settings(both)[alias]

    def run(self, *statements: str) -> list[Any]:
        with connections[self._alias].cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def migrate(self, **how: bool) -> None:
        call_command("migrate", "channels_delay", database=self._alias, verbosity=0, **how)

    def loader(self) -> Any:
        return MigrationLoader(connections[self._alias])

    def remove(self) -> None:
        handler: Any = connections
        handler[self._alias].close()
        del handler[self._alias]
        del handler.settings[self._alias]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database("new", tmp_path / "new.sqlite3")
    yield database
    database.remove()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Database]:
    """Give a database that Channels 1 has used."""
    database = Database("old", tmp_path / "old.sqlite3")
    database.run(*OLD.split(";\n")[:-1])
    yield database
    database.remove()


def test_a_new_database_gets_the_table_that_old_ones_have(database: Database, old: Database) -> None:
    database.migrate()
    assert database.run(SCHEMA) == old.run(SCHEMA)


@pytest.mark.parametrize("how", ["fake", "fake_initial"])
def test_the_table_of_channels_1_is_taken_over(old: Database, how: str) -> None:
    old.migrate(**{how: True})
    old.migrate()
    loader = old.loader()
    assert sorted(loader.applied_migrations) == [("channels.delay", "0001_initial"), ("channels_delay", "0001_initial")]
    loader.check_consistent_history(connections["old"])
    rows = old.run('SELECT channel_name, content FROM "channels.delay_delayedmessage"')
    assert rows == [("mail", '{"to": "you"}')]


def test_without_that_the_table_is_in_the_way(old: Database) -> None:
    with pytest.raises(DatabaseError, match="already exists"):
        old.migrate()


def test_it_is_what_the_models_say() -> None:
    loader = MigrationLoader(None)
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    assert "channels_delay" not in changes
