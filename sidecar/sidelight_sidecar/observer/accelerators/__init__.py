"""The devices of the pod's engine: sources behind one protocol, and what is made of them."""
