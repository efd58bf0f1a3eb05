"""From the spool to a sink: in batches, again after failures, and no longer than is allowed."""
