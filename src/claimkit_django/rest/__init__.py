"""The API kit: problems, pagination, filters, roles and schema that claimkit's views carry.

Nothing here changes the host's ``REST_FRAMEWORK`` settings, and nothing in them but the
authentication classes changes claimkit's views.
"""
