"""Automation as a room of a Django site."""
