"""Records of exchanges: masked, spooled and shipped, in a process of its own."""
