import os

BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

SECRET_KEY = "a demonstration has no secrets"
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "channels.delay",
    "firststeps",
    "generics",
    "notes",
    "later",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

ROOT_URLCONF = "documentation.urls"

DATABASE = os.environ.get("DOCUMENTATION_DB", os.path.join(BASE_DIR, "db.sqlite3"))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE,
        # A file, as the processes of a ChannelLiveServerTestCase have to see it.
        "TEST": {"NAME": DATABASE + ".test"},
    }
}

USE_TZ = True
STATIC_URL = "/static/"

REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379")

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
        "TEST_CONFIG": {"hosts": [REDIS_URL], "prefix": "test:"},
        "ROUTING": "documentation.routing.channel_routing",
    },
}
