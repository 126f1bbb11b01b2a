"""Views: one that says who answers, one that sends to a group."""

import os

from channels import Group
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import re_path


def who(request):
    return HttpResponse(str(os.getpid()))


def announce(request):
    Group("all").send({"text": "announced"})
    return HttpResponse("done")


def broken(request):
    def parts():
        yield b"a beginning"
        raise ValueError("no end")

    return StreamingHttpResponse(parts())


urlpatterns = [re_path("^who/$", who), re_path("^announce/$", announce), re_path("^broken/$", broken)]
