"""Middleware and values of the HTTP layer; each piece can be adopted alone, none needs DRF."""
