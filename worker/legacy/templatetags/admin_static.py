"""``{% load admin_static %}``: the same ``static`` tag."""

from __future__ import annotations

from .staticfiles import register, static

__all__ = ["register", "static"]
