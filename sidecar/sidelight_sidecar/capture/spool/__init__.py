"""Records that wait to be shipped: bounded, in memory or on disk, each read by every sink."""
