"""Management commands of the claims room."""
