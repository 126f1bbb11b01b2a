"""Bindings of one test are no bindings of the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def unbound() -> Iterator[None]:
    """End what this test has bound."""
    from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

    from channels_bridge.worker.legacy.binding import BindingMetaclass

    before = list(BindingMetaclass.binding_classes)
    yield
    for binding in BindingMetaclass.binding_classes[len(before) :]:
        for signal, receiver in (
            (pre_save, binding.pre_save_receiver),
            (post_save, binding.post_save_receiver),
            (pre_delete, binding.pre_delete_receiver),
            (post_delete, binding.post_delete_receiver),
        ):
            signal.disconnect(receiver, sender=binding.model)
    BindingMetaclass.binding_classes[:] = before
