"""claimkit reads FHIR R4 claims and what payers decided about them with this plugin."""

__version__ = "0.1.0"
