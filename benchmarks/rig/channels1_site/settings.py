"""A project of the time of Channels 1, for whatever runs it: the old stack, or ours."""

import os

SECRET_KEY = "a benchmark has no secrets"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is
INSTALLED_APPS = ["django.contrib.sessions", "channels"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("BENCH_REDIS", "redis://localhost:6379")]},
        "ROUTING": "routing.channel_routing",
    },
}
