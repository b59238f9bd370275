"""Management commands of the drift room."""
