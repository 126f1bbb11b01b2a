from channels.binding.websockets import WebsocketBinding

from .models import Counter

GROUP = "counters"


class CounterBinding(WebsocketBinding):
    model = Counter
    stream = "counter"
    fields = ["name", "value"]

    @classmethod
    def group_names(cls, instance):
        return [GROUP]

    def has_permission(self, user, action, pk):
        """Anybody may count; what is there is cleared away by staff only."""
        return action != "delete" or user.is_staff
