"""How the table of delayed messages came to be."""
