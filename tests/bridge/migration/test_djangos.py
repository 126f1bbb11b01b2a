"""Helpers that Django has removed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from channels_bridge.bridge.migration.djangos import WITH_SHIM, WITHOUT_SHIM, judge, shimmed
from channels_bridge.bridge.migration.judging import is_below
from channels_bridge.worker.legacy import removed


@pytest.mark.parametrize(
    "name",
    [
        "django.utils.six",
        "django.utils.six.moves.urllib.parse.quote",
        "django.core.urlresolvers.reverse",
        "django.conf.urls.url",
    ],
)
def test_with_shims_it_runs(name: str) -> None:
    without, with_ = judge(name, shims=False), judge(name, shims=True)
    assert without is not None
    assert with_ is not None
    assert (without[1].verdict, with_[1].verdict) == ("change", "differs")
    assert name.startswith(without[0])


def test_the_longest_known_name_is_told() -> None:
    found = judge("django.utils.six.python_2_unicode_compatible", shims=False)
    assert found is not None
    assert found[0] == "django.utils.six.python_2_unicode_compatible"
    assert found[1].text == "Remove the decorator and its import; or start with --django-shims."


def test_some_have_no_shim() -> None:
    for name in (
        "django.utils.translation.string_concat",
        "django.utils.six.moves.tkinter",
        "django.utils.six.add_move",
    ):
        for shims in (True, False):
            found = judge(name, shims)
            assert found is not None
            assert (found[0], found[1].verdict) == (name, "change")


@pytest.mark.parametrize(
    "name", ["django", "django.utils", "django.conf.urls.include", "django.utils.encoding.force_str"]
)
def test_what_is_still_there_is_not_told_of(name: str) -> None:
    assert judge(name, shims=False) is None


def test_nothing_is_listed_twice() -> None:
    assert WITH_SHIM.keys() & WITHOUT_SHIM.keys() == set()
    assert shimmed("write x", shims=True).text == "It runs by --django-shims; in the long run write x."


def test_the_worker_knows_the_same_names() -> None:
    """Two halves, two tables: what one has a shim for, the other says to have one."""
    with_: set[str] = {removed.SIX}
    without: set[str] = set()
    for name, what in removed.MODULES.items():
        (with_ if what.place else without).add(name)
    for module, attributes in removed.ATTRIBUTES.items():
        for name, what in attributes.items():
            (with_ if what.place else without).add(f"{module}.{name}")
    unsaid = {name for name in with_ if judge(name, shims=True) is None}
    assert unsaid == set()
    assert {name for name in WITH_SHIM if not any(is_below(name, shim) for shim in with_)} == set()
    assert {name for name in without if name not in WITHOUT_SHIM} == set()


# Two are refused by system checks, one is still in Django 4.2.
STILL = {
    "django.contrib.postgres.fields.JSONField",
    "django.db.models.NullBooleanField",
    "django.utils.timezone.utc",
}
PROGRAM = """
import importlib, json, sys
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
import django
django.setup()

def is_there(name):
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or importlib.import_module(name)
    except ImportError:
        return False

print(json.dumps([name for name in json.load(sys.stdin) if is_there(name)]))
"""


def test_todays_django_has_none_of_them() -> None:
    names = json.dumps([*sorted({*WITH_SHIM, *WITHOUT_SHIM} - STILL), "django.urls.re_path"])
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, input=names, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["django.urls.re_path"]
