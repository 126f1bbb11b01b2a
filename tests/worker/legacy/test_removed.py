"""The table of what Django has no more."""

from __future__ import annotations

from importlib import import_module

import pytest

from channels_bridge.worker.legacy import removed
from channels_bridge.worker.legacy.removed import ATTRIBUTES, MODULES, Removed, found_at, removed_module

ALL = {f"{module}.{name}": found for module, names in ATTRIBUTES.items() for name, found in names.items()} | MODULES
WITHIN = {"django.core.urlresolvers", "django.utils.lru_cache", "django.utils.six"}  # found by their own imports


@pytest.mark.parametrize("name", sorted(ALL.keys() - WITHIN))
def test_what_stands_in_is_there(name: str) -> None:
    if place := ALL[name].place:
        assert found_at(place) is not None


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_the_modules_are_there_and_their_names_are_not(name: str) -> None:
    module = import_module(name)
    assert set(ATTRIBUTES[name]) & set(vars(module)) == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_modules_that_were_removed_are_not_there(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module(name)


def test_what_is_told() -> None:
    assert Removed("3.0", "use x", "y").text("z") == (
        "z was removed in Django 3.0: use x, or run this with --django-shims, which brings it back"
    )
    assert Removed("3.0", "use x", "").text("z") == "z was removed in Django 3.0: use x"


def test_what_is_not_here_of_six_is_in_the_package_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def places() -> list[str]:
        names = ("six", "six.moves.urllib.parse", "six.moves.tkinter")
        found = [removed_module(f"django.utils.{name}") for name in names]
        return [one.place if one else "nothing is known" for one in found]

    ours = ["channels_bridge.worker.legacy.python2", "urllib.parse"]
    assert places() == [*ours, ""]
    monkeypatch.setattr(removed, "find_spec", lambda name: name)
    assert places() == [*ours, "six.moves.tkinter"]
    assert removed_module("django.utils.sixty") is None
    assert removed_module("django.urls") is None
