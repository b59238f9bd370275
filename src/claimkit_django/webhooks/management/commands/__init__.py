"""Management commands of the webhooks room."""
