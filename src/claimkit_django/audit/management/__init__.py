"""Management commands of the alerts room."""
