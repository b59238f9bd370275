"""Management commands of the tenants room."""
