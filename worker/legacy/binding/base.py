"""Bindings of models."""

from __future__ import annotations


class BindingMetaclass(type):
    """Registers bindings."""

    @classmethod
    def register_all(cls) -> None:
        """Register all."""
