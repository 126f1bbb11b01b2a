"""What tests tell other processes about their settings."""

from __future__ import annotations

import pytest
from django.conf import settings

from channels1_programs import run
from channels_bridge.worker.legacy import overriding


def test_settings_reach_another_process_before_anything_uses_them() -> None:
    told = overriding.written({"default": "/tmp/test.sqlite3"}, {"DEBUG": True, "ALLOWED_HOSTS": ["here"]})
    run(
        """
        from channels_bridge.worker.legacy import loading
        loading.prepare()
        from django.conf import settings
        from django.db import connection
        assert settings.DEBUG and settings.ALLOWED_HOSTS == ["here"]
        assert connection.settings_dict["NAME"] == "/tmp/test.sqlite3"
        """,
        DJANGO_SETTINGS_MODULE="channels1_project.settings",
        CHANNELS_BRIDGE_TEST_SETTINGS=told,
    )


def test_where_nothing_is_told_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(overriding.VARIABLE, raising=False)
    before = dict(settings.DATABASES["default"]), settings.DEBUG
    overriding.override()
    assert (dict(settings.DATABASES["default"]), settings.DEBUG) == before


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        overriding.written({}, {"SOMETHING": object()})
