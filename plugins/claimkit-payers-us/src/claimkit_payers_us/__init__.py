"""claimkit knows larger payers of the United States, and what remark codes say, with this plugin."""

__version__ = "0.2.0"
