"""Views: one that says who answers, one that sends to a group."""

import os

from channels import Group
from django.http import HttpResponse
from django.urls import re_path


def who(request):
    return HttpResponse(str(os.getpid()))


def announce(request):
    Group("all").send({"text": "announced"})
    return HttpResponse("done")


urlpatterns = [re_path("^who/$", who), re_path("^announce/$", announce)]
