"""Paths of views, and of consumers."""

from __future__ import annotations

from typing import Any

from django.urls import path

from layers.project import views
from layers.project.chat import consumers

urlpatterns = [
    path("announce/<slug:room>/", views.announce),
    path("announce-sync/<slug:room>/", views.announce_sync),
    path("announce-async/<slug:room>/", views.announce_async),
    path("thumbnail/<slug:picture>/", views.thumbnail),
]

websocket_urlpatterns: list[Any] = [
    path("chat/<slug:room>/", consumers.Chat.as_asgi()),
    path("sync/<slug:room>/", consumers.SyncChat.as_asgi()),
]
