"""What a condition is judged to be."""

from typing import Literal

from sidelight_contract.names import ConditionType, Reason

Judged = tuple[ConditionType, Literal["True", "False", "Unknown"], Reason, str]
"""The condition, its status, why in a word, and why in a sentence."""
