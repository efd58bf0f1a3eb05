"""What the driver's figures are worth, on a real device (README.md)."""
