"""The dashboard: what changed, since when and how much money, as pages of a host's own site."""
