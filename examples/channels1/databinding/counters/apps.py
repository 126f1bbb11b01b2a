from django.apps import AppConfig


class CountersConfig(AppConfig):
    name = "counters"

    def ready(self):
        """Have changes told wherever they are made: in a shell, too, which has no routing."""
        from . import bindings  # noqa: F401
