"""Automation: what a tenant lets happen by itself, when, and who is asked before. Pure."""
