"""The observer's part in capture: keeps bodies, decides, and hands over to the capture process."""
