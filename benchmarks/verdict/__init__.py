"""How often the verdict errs, and how many requests it takes: simulated versions, known effects."""
