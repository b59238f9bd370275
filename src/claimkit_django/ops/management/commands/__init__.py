"""Management commands of the ops room."""
