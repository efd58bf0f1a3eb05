"""The Sidelight operator: injection, webhook, controller and the `sidelight` command."""
