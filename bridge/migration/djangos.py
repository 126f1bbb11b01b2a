"""Helpers that Django has removed, and projects of the time of Channels 1 import; and what to write now."""

from __future__ import annotations

from .findings import Rule

# Full name (all below it included) -> what to write. These have a shim.
WITH_SHIM: dict[str, str] = {
    "django.utils.six": "write what Python 3 has itself (str, bytes, dict.items(), urllib.parse …)",
    "django.utils.encoding.python_2_unicode_compatible": "remove the decorator and its import",
    "django.utils.six.python_2_unicode_compatible": "remove the decorator and its import",
    "django.utils.encoding.force_text": "write force_str",
    "django.utils.encoding.smart_text": "write smart_str",
    "django.utils.translation.ugettext": "write gettext",
    "django.utils.translation.ugettext_lazy": "write gettext_lazy",
    "django.utils.translation.ugettext_noop": "write gettext_noop",
    "django.utils.translation.ungettext": "write ngettext",
    "django.utils.translation.ungettext_lazy": "write ngettext_lazy",
    "django.conf.urls.url": "write django.urls.re_path",
    "django.core.urlresolvers": "write django.urls",
    "django.utils.lru_cache": "write functools.lru_cache",
    "django.utils.decorators.available_attrs": "leave the argument of functools.wraps out",
    "django.contrib.admin.templatetags.admin_static": "write django.templatetags.static",
    "django.contrib.staticfiles.templatetags": "write django.templatetags.static",
    "django.shortcuts.render_to_response": "write render(request, ...)",
    "django.utils.functional.curry": "write functools.partial",
    "django.utils.timezone.utc": "write datetime.timezone.utc, as Django 5.0 has removed this",
    "django.utils.http.is_safe_url": "write url_has_allowed_host_and_scheme",
    "django.utils.http.urlquote": "write urllib.parse.quote",
    "django.utils.http.urlquote_plus": "write urllib.parse.quote_plus",
    "django.utils.http.urlunquote": "write urllib.parse.unquote",
    "django.utils.http.urlunquote_plus": "write urllib.parse.unquote_plus",
}

# These have none: what they were cannot be had under any supported Django.
WITHOUT_SHIM: dict[str, str] = {
    "django.conf.urls.patterns": "Write a plain list of re_path().",
    "django.contrib.auth.views.login": "Write LoginView.as_view().",
    "django.contrib.auth.views.logout": "Write LogoutView.as_view().",
    "django.contrib.auth.views.password_change": "Write PasswordChangeView.as_view().",
    "django.contrib.auth.views.password_change_done": "Write PasswordChangeDoneView.as_view().",
    "django.contrib.auth.views.password_reset": "Write PasswordResetView.as_view().",
    "django.contrib.auth.views.password_reset_complete": "Write PasswordResetCompleteView.as_view().",
    "django.contrib.auth.views.password_reset_confirm": "Write PasswordResetConfirmView.as_view().",
    "django.contrib.auth.views.password_reset_done": "Write PasswordResetDoneView.as_view().",
    "django.contrib.postgres.fields.JSONField": "Write django.db.models.JSONField.",
    "django.core.context_processors": "Write django.template.context_processors.",
    "django.db.models.NullBooleanField": "Write BooleanField(null=True).",
    "django.db.models.get_model": "Write django.apps.apps.get_model.",
    "django.utils.datastructures.SortedDict": "Write collections.OrderedDict.",
    **dict.fromkeys(
        (f"django.utils.six.{name}" for name in ("MovedAttribute", "MovedModule", "add_move", "remove_move")),
        "Write what has moved where it is used.",
    ),
    "django.utils.six.moves.tkinter": "Write tkinter of Python itself.",
    "django.utils.importlib": "Write importlib of Python itself.",
    "django.utils.simplejson": "Write json of Python itself.",
    "django.utils.timezone.FixedOffset": "Write datetime.timezone(datetime.timedelta(minutes=offset)).",
    "django.utils.translation.string_concat": "Write format_lazy of django.utils.text.",
}

LOADS = dict.fromkeys(("staticfiles", "admin_static"), "write {% load static %}")  # with a shim
LOADS_WITHOUT = {"future": "Remove it."}

ON_DELETE = Rule("change", "Write on_delete=models.CASCADE, which was its default.")
RELATIONS = frozenset({"django.db.models.ForeignKey", "django.db.models.OneToOneField"})
PROVIDING = Rule("change", "Leave providing_args out: it was documentation only.")
SIGNALS = frozenset({"django.dispatch.Signal", "django.dispatch.dispatcher.Signal"})
GONE = "django.contrib.auth.middleware.SessionAuthenticationMiddleware"
GONE_RULE = Rule("change", "Remove it: since Django 1.10 it is done without, and since 2.0 it is not there.")
MIDDLEWARE = Rule(
    "change", "Write MIDDLEWARE, and middleware of the new style: Django no longer reads MIDDLEWARE_CLASSES."
)


def judge(name: str, shims: bool) -> tuple[str, Rule] | None:
    """Give the removed helper that a full name is, or is in, and what becomes of it; None for all else of Django."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        known = ".".join(parts[:end])
        if known in WITH_SHIM:
            return known, shimmed(WITH_SHIM[known], shims)
        if known in WITHOUT_SHIM:
            return known, Rule("change", WITHOUT_SHIM[known])
    return None


def shimmed(advice: str, shims: bool) -> Rule:
    """Say what becomes of what has a shim."""
    if shims:
        return Rule("differs", f"It runs by --django-shims; in the long run {advice}.")
    return Rule("change", f"{advice[0].upper()}{advice[1:]}; or start with --django-shims.")
