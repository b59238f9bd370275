"""Audit: an append-only trail per tenant that shows when somebody tampered with it."""
