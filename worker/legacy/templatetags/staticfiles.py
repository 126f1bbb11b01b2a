"""``{% load staticfiles %}``: the ``static`` tag, as templates loaded it before Django 3.0."""

from __future__ import annotations

from typing import Any

from django.template import Library, TemplateSyntaxError
from django.templatetags.static import (
    do_static,
    static,  # what Python code imports from here
)

from ..removed import STATIC
from ..shims import working


def tag(parser: Any, token: Any) -> Any:
    """Be the tag; without the shims tell what to write."""
    if not working():
        raise TemplateSyntaxError(STATIC.text("{% load staticfiles %}"))
    return do_static(parser, token)


__all__ = ["register", "static"]

register: Any = Library()
register.tag("static", tag)
