"""Webhooks in Django: endpoints with encrypted keys, deliveries, the worker, and a receiver kit."""
