"""Messages that are sent later: a Django application, and the command ``rundelay``."""
