"""What sites and their migrations are tested with; nothing that is shipped to work with imports it."""
