from django.contrib.auth.decorators import login_required
from django.shortcuts import render

from .models import Room


@login_required
def index(request):
    rooms = [room for room in Room.objects.all() if room.lets_in(request.user)]
    return render(request, "rooms/index.html", {"rooms": rooms})
