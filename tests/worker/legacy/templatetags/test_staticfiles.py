"""Templates that load the ``static`` tag as they did before Django 3.0."""

from __future__ import annotations

import pytest
from django.template import Context, Engine, TemplateSyntaxError

from channels_bridge.worker.legacy import shims
from channels_bridge.worker.legacy.templatetags import staticfiles

LIBRARY = "channels_bridge.worker.legacy.templatetags.staticfiles"


def rendered(text: str) -> str:
    engine = Engine(libraries={"staticfiles": LIBRARY})
    return engine.from_string(text).render(Context())


def test_without_the_shims_the_template_is_told() -> None:
    assert rendered("{% load staticfiles %}not used") == "not used"
    with pytest.raises(TemplateSyntaxError, match=r"write \{% load static %\}.* --django-shims"):
        rendered("{% load staticfiles %}{% static 'a.css' %}")


def test_with_the_shims_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staticfiles, "working", lambda: True)
    assert not shims.working()
    assert rendered("{% load staticfiles %}{% static 'a.css' %}") == "/static/a.css"
    assert rendered("{% load static from staticfiles %}{% static 'a.css' as x %}{{ x }}") == "/static/a.css"


def test_django_finds_it_in_an_application() -> None:
    from django.template.backends.django import get_installed_libraries

    assert get_installed_libraries()["staticfiles"] == LIBRARY
    assert staticfiles.static("a.css") == "/static/a.css"
