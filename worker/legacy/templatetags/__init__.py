"""Template libraries of that era, for templates that are not to be changed: see shims.py."""
