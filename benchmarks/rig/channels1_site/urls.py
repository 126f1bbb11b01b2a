"""One view."""

from django.http import HttpResponse


def hello(request):  # noqa: ARG001
    return HttpResponse(b"hello", content_type="text/plain")


try:
    from django.urls import re_path
except ImportError:  # Django 1.11
    from django.conf.urls import url as re_path

urlpatterns = [re_path("^$", hello)]
