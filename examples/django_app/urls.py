"""Paths of views, and of consumers."""

from __future__ import annotations

from typing import Any

from django.urls import path

from . import consumers, views

urlpatterns = [
    path("", views.index),
    path("visits/", views.visits),
    path("count/<int:last>/", views.count),
]

websocket_urlpatterns: list[Any] = [
    path("ws/room/<slug:room>/", consumers.RoomConsumer.as_asgi()),
    path("ws/reverse/", consumers.ReverseConsumer.as_asgi()),
]
