"""Prior authorizations as a room of a Django site."""
