"""What both halves agree on. Nothing enters here unless both import it."""
