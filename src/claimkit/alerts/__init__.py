"""Alerts: the right person, once, in time. Pure; rows and workers are a host's."""
