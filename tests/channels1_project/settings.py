"""The Django settings of the unit tests of Channels 1."""

from __future__ import annotations

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["example.com", "testserver", "127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "channels1_project.urls"
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:legacy?mode=memory&cache=shared"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels_bridge.worker.legacy",
    "channels_bridge.worker.legacy.delay",
    "channels1_project",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_bridge.worker.legacy.memory.ChannelLayer",
        "ROUTING": [],
        "TEST_CONFIG": {},
    },
}
