"""Accounts: API tokens, each of one person in one tenant."""
