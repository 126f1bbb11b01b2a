"""A project of the time of Channels 1, whose consumers do what hurt there. No database."""

SECRET_KEY = "a test has no secrets"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["channels"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("localhost", 6379)]},
        "ROUTING": "routing.channel_routing",
    },
}
