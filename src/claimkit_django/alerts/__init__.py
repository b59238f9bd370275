"""Alerts as a room of a Django site."""
