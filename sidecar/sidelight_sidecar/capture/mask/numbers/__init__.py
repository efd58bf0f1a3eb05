"""Numbers that prove themselves by their digits, and those that need a word beside them."""
