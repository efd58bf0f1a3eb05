"""How well requests get their share of energy: simulated engines and devices, known truth."""
