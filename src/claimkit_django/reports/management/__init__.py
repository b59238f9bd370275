"""Management commands of the reports room."""
