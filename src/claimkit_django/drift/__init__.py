"""Drift in Django: the cube's tables, findings and their life, and the runs that watch."""
