"""The logger."""

from __future__ import annotations

import logging

from django.utils.log import AdminEmailHandler, RequireDebugTrue

from channels_bridge.worker.legacy.logs import logger, say_once


def test_its_name_is_that_of_channels_1() -> None:
    assert logger.name == "django.channels"


def test_django_does_not_print_what_the_program_prints() -> None:
    djangos = logging.getLogger("django")
    before, own = list(djangos.handlers), logging.StreamHandler()
    console = logging.StreamHandler()
    console.addFilter(RequireDebugTrue())
    djangos.handlers[:] = [console, own, AdminEmailHandler()]
    try:
        say_once()
        assert [type(handler) for handler in djangos.handlers] == [logging.StreamHandler, AdminEmailHandler]
        assert djangos.handlers[0] is own
    finally:
        djangos.handlers[:] = before
