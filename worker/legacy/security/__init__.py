"""Checks on who may connect."""
