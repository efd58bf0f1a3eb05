"""Bodies: content coding, and cutting into events, lines and messages."""
