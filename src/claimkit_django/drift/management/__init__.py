"""Management of the drift room."""
