"""Claims in Django: uploads, the rows that claims are kept in, and the import that fills them."""
