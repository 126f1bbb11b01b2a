"""What joins the bridges of several machines: an engine, chosen by its URL."""

from .choice import open_engine as open_engine
