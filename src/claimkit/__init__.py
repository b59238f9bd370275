"""claimkit tells a revenue team early that a payer has changed how it treats their claims."""

from claimkit.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]

__version__ = "0.1.0"
