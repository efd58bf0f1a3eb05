"""Slow-request autopsy: which exchanges were slow or failed, where their time went, and why."""
