"""Management of the claims room."""
