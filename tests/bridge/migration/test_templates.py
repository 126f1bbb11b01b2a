"""Templates, tag by tag."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.migration.templates import scan, tags


def found(text: str, shims: bool = False) -> list[tuple[int, int, str, str]]:
    return [(one.line, one.column, one.name, one.verdict) for one in scan(text, "a.html", shims)]


@pytest.mark.parametrize(
    "tag",
    [
        "{% load staticfiles %}",
        "{%load staticfiles%}",
        "{% load static from staticfiles %}",
        "{% load i18n staticfiles %}",
    ],
)
def test_what_django_has_removed(tag: str) -> None:
    assert found(f"<p>\n  {tag}") == [(2, 3, "{% load staticfiles %}", "change")]
    assert found(tag, shims=True) == [(1, 1, "{% load staticfiles %}", "differs")]


def test_without_a_shim() -> None:
    text = "{% load admin_static future %}"
    assert [verdict for *_, verdict in found(text, shims=True)] == ["differs", "change"]


def test_the_script_of_channels() -> None:
    text = "<script src=\"{% static 'channels/js/websocketbridge.js' %}\"></script>"
    assert found(text) == [(1, 14, "channels/js/websocketbridge.js", "runs")]


@pytest.mark.parametrize(
    "text",
    [
        "{% load static %}",
        "staticfiles",
        "{{ load }} {% %} {% static %}",
        "{# {% load staticfiles %} #}",
        "{% comment %}{% load staticfiles %}{% endcomment %}",
        '{% comment "why" %}\n{% load staticfiles %}\n{% endcomment %}',
        "{% verbatim %}{% load staticfiles %}{% endverbatim %}",
        "{% verbatim x %}{% endverbatim %}{% load staticfiles %}{% endverbatim x %}",
        "{% static 'js/websocketbridge.js' %}",
        "{% load\nstaticfiles %}",
    ],
)
def test_what_is_nothing(text: str) -> None:
    assert found(text) == []


def test_tags_after_a_comment_are_read_again() -> None:
    assert list(tags("{% comment %}{% a %}{% endcomment %}{% b c %}")) == [(1, 37, ["b", "c"])]
