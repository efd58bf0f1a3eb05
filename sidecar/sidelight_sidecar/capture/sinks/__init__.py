"""Where records go: one small adapter a kind of sink."""
