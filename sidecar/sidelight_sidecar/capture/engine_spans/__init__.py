"""The engine's own OTLP spans, taken on loopback and passed on to the sinks that ask for them."""
