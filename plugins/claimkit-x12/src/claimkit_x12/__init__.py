"""claimkit reads X12 835 remittances and 837 claims with this plugin."""

__version__ = "0.1.0"
