from django.shortcuts import render

from .models import Counter


def index(request):
    return render(request, "counters/index.html", {"counters": Counter.objects.all()})
