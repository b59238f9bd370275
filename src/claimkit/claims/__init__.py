"""Claims: the canonical record, the readers that make it, and the stores that keep it."""
