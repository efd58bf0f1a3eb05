"""Connections: whose bytes are whose, and what they speak."""
