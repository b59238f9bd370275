"""Drift: the cube, the detectors that read it, and the findings they make."""
