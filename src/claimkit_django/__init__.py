"""claimkit for Django: a package of apps; a host installs the rooms it wants."""
