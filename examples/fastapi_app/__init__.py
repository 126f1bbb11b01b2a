"""A FastAPI application, unmodified: see ``main``."""
