"""Which exchanges are kept as records: by their outcome, without bias. Pure."""
