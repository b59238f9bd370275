"""Prior authorizations: what a payer allows until when, and when to ask again. Pure."""
