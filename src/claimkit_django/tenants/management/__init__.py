"""Management of the tenants room."""
