"""Static files out of the apps' folders, in front of the views: for development."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from django.conf import settings
from django.contrib.staticfiles import utils
from django.contrib.staticfiles.views import serve
from django.core.handlers.exception import response_for_exception
from django.http import Http404

from .handler import AsgiHandler, ViewConsumer

STATIC = "CHANNELS_BRIDGE_STATIC"  # in the environment: "always" or "never"; else in DEBUG. Set by runserver


def are_served() -> bool:
    """Say whether this process's views are to have the static files before them, unless the project says otherwise."""
    wanted = os.environ.get(STATIC)
    is_wanted = settings.DEBUG if wanted is None else wanted == "always"
    return bool(is_wanted) and "django.contrib.staticfiles" in settings.INSTALLED_APPS


class StaticFilesHandler(AsgiHandler):
    """Answers what is below ``STATIC_URL`` with files, and all else with views."""

    handles_files = True  # receivers of request_finished look at it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base_url = urlsplit(self.get_base_url())

    def get_base_url(self) -> str:
        """Give ``STATIC_URL``. Raises ``ImproperlyConfigured`` if the settings about static files are wrong."""
        utils.check_settings()
        return settings.STATIC_URL

    def _should_handle(self, path: str) -> bool:
        """Say whether a path is a static file's. None is, if they are on another host."""
        return path.startswith(self.base_url.path) and not self.base_url.netloc

    def file_path(self, url: str) -> str:
        """Give the file's name, relative to the folders that are looked into."""
        return url2pathname(url.removeprefix(self.base_url.path))

    def serve(self, request: Any) -> Any:
        """Answer with the file. Raises ``Http404`` if there is none."""
        return serve(request, self.file_path(request.path), insecure=True)

    def get_response(self, request: Any) -> Any:
        """Answer a request."""
        if not self._should_handle(request.path):
            return super().get_response(request)
        try:
            return self.serve(request)
        except Http404 as error:
            return response_for_exception(request, error)


class StaticFilesConsumer(ViewConsumer):
    """The consumer of ``http.request`` that answers with static files and views."""

    handler_class = StaticFilesHandler
