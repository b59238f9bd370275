"""Template tags of the example."""
