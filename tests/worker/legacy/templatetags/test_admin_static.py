"""``admin_static`` is ``staticfiles``."""

from __future__ import annotations

from channels_bridge.worker.legacy.templatetags import admin_static, staticfiles


def test_it_is_the_same() -> None:
    assert admin_static.register is staticfiles.register
    assert admin_static.static is staticfiles.static
