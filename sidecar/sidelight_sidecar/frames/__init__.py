"""Frames: what the relay tells the observer, and the files that keep it. Standard library only."""
