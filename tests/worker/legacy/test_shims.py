"""Imports of what Django has no more: told by default, working by option. In processes of their own."""

from __future__ import annotations

import sys

import django
import pytest

from channels1_programs import run_aliased
from channels_bridge.worker.legacy.shims import Shims

IMPORTS = {
    "from django.utils import six": "3.0",
    "import django.utils.six": "3.0",
    "from django.utils.six.moves.urllib.parse import urlparse": "3.0",
    "from django.utils.six import text_type, with_metaclass": "3.0",
    "from django.utils.encoding import python_2_unicode_compatible": "3.0",
    "from django.utils.encoding import force_text": "4.0",
    "from django.utils.encoding import smart_text": "4.0",
    "from django.utils.translation import ugettext": "4.0",
    "from django.utils.translation import ugettext_lazy": "4.0",
    "from django.utils.translation import ungettext": "4.0",
    "from django.conf.urls import include, url": "4.0",
    "from django.core.urlresolvers import reverse": "2.0",
    "from django.core import urlresolvers": "2.0",
    "from django.utils import lru_cache": "3.0",
    "from django.utils.lru_cache import lru_cache": "3.0",
    "from django.utils.decorators import available_attrs": "3.0",
    "from django.utils.functional import curry": "3.0",
    "from django.shortcuts import render_to_response": "3.0",
    "from django.utils.http import urlquote, urlunquote": "4.0",
    "from django.utils.http import is_safe_url": "4.0",
    "from django.contrib.staticfiles.templatetags.staticfiles import static": "3.0",
}


@pytest.mark.parametrize(("line", "since"), IMPORTS.items())
def test_who_imports_one_is_told_what_became_of_it(line: str, since: str) -> None:
    told = run_aliased(line, code=1).splitlines()[-1]
    assert "Error: django." in told
    assert f"was removed in Django {since}: " in told
    assert told.endswith(", or run this with --django-shims, which brings it back")


def test_with_the_option_they_work() -> None:
    run_aliased(
        "\n".join(IMPORTS)
        + """
assert six.PY3 and isinstance("", six.string_types) and six.text_type is str
assert urlparse("http://a/b").path == "/b"
assert six.moves.urllib.parse.urlparse is urlparse
assert force_text(b"a") == smart_text(b"a") == "a"
assert urlquote("a b/") == "a%20b/" and urlunquote("a%20b") == "a b"
assert is_safe_url("/a", allowed_hosts=None) and not is_safe_url("http://a/", {"b"})
assert curry(max, 1)(2) == 2
assert urlresolvers.reverse is reverse
assert lru_cache()(len)("a") == 1
@python_2_unicode_compatible
class Named(with_metaclass(type, object)):
    def __str__(self):
        return "name"
assert str(Named()) == "name"
import functools
@functools.wraps(Named.__str__, assigned=available_attrs(Named.__str__))
def named(): ...
assert named.__name__ == "__str__"
import django; django.setup()
assert ugettext_lazy("a") == ugettext("a") == ungettext("a", "b", 1)
assert url(r"^a/$", len).pattern.regex.pattern == "^a/$"
assert static("a.css") == "/static/a.css"
from django.test.utils import override_settings
engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
    "loaders": [("django.template.loaders.locmem.Loader", {"a.html": "{% load staticfiles %}{{ b }}{% static 'c' %}"})],
}}
with override_settings(TEMPLATES=[engine]):
    response = render_to_response("a.html", {"b": "text "}, status=201)
assert (response.status_code, response.content) == (201, b"text /static/c")
""",
        django_shims=True,
    )


def test_other_names_are_missing_as_ever() -> None:
    program = """
    import importlib
    from channels_bridge.worker.legacy.removed import ATTRIBUTES
    import django; django.setup()
    for name in ATTRIBUTES:
        module = importlib.import_module(name)
        assert not hasattr(module, "nonsense"), name
        assert module.__name__ == name == module.__spec__.name
        assert module.__loader__ is module.__spec__.loader
        assert type(module.__loader__).__module__ == "_frozen_importlib_external", module.__loader__
    try:
        from django.utils import nonsense
    except ImportError as error:
        assert "cannot import name 'nonsense' from 'django.utils'" in str(error)
    """
    run_aliased(program)
    run_aliased(program, django_shims=True)


def test_code_that_looks_for_the_new_name_if_the_old_is_missing_gets_it() -> None:
    run_aliased(
        """
        try:
            from django.utils.encoding import force_text
        except ImportError:
            from django.utils.encoding import force_str as force_text
        try:
            import django.core.urlresolvers as urls
        except ModuleNotFoundError as error:
            assert error.name == "django.core.urlresolvers"
            import django.urls as urls
        assert urls.reverse and force_text
        """
    )


def test_nothing_of_django_is_imported_before_the_project_does() -> None:
    run_aliased("import sys; assert not [name for name in sys.modules if name.startswith('django')]", django_shims=True)


def test_modules_that_are_there_already_answer_as_well() -> None:
    run_aliased(
        """
        from channels_bridge.worker.legacy import shims
        import sys
        sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, shims.Shims)]
        for name in [name for name in sys.modules if name.startswith("django")]:
            del sys.modules[name]
        import django.utils.encoding
        assert not shims.working()
        aliases.install(django_shims=True)
        from django.utils.encoding import force_text
        assert shims.working()
        aliases.install()
        assert shims.working(), "it stays so"
        """
    )


@pytest.mark.parametrize("django_shims", [False, True])
def test_views_that_are_classes_now_have_no_stand_in(django_shims: bool) -> None:
    told = run_aliased(
        "import django; django.setup()\nfrom django.contrib.auth.views import login",
        django_shims=django_shims,
        code=1,
    ).splitlines()[-1]
    assert told == (
        "ImportError: django.contrib.auth.views.login was removed in Django 2.1: use the class-based view of the same"
        " module, LoginView.as_view() for login"
    )


@pytest.mark.skipif(django.VERSION < (5,), reason="Django 4.2 has it, and warns")
def test_utc_is_missing_where_django_has_it_no_more() -> None:
    run_aliased(
        "from django.utils.timezone import utc; import datetime; assert utc is datetime.timezone.utc", django_shims=True
    )


def test_without_django_there_is_nothing_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Shims()
    monkeypatch.setattr(sys, "meta_path", [finder])
    assert finder.find_spec("django.utils.encoding", None) is None
    assert finder.find_spec("other", None) is None
