"""claimkit knows larger payers of the United States with this plugin."""

__version__ = "0.1.0"
