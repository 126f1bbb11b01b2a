"""Django's command line for the project."""

import os
import sys

from django.core import management

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "layers.project.settings")
    management.ManagementUtility(sys.argv).execute()
