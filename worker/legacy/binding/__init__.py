"""Models whose changes go to sockets, and the other way round."""

from __future__ import annotations

from .base import CREATE, DELETE, UPDATE, Binding, BindingMetaclass

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding", "BindingMetaclass"]
