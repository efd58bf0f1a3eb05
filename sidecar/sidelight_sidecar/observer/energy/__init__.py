"""What each request cost of the devices' energy: measured joules, shared out by modelled work.

`EnergySplit` (split.py) is what the rest of the observer sees; docs/energy.md has every rule.
"""
