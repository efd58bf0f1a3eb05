"""What all intervals add up to: totals, those of each model, and the check that nothing is lost."""

from collections.abc import Sequence

from sidelight_contract.gpu import MAX_ENERGY_MODELS, OTHER_MODELS, Energy
from sidelight_sidecar.observer.energy.told import Outcome


class Totals:
    """Grows with each interval that is settled."""

    def __init__(self) -> None:
        self.settled = Energy()
        """Without what is open."""
        self.by_model: dict[str, Energy] = {}
        self.uncovered_ns = 0
        self._by_outcome = dict.fromkeys(Outcome, 0)
        self._tokens: dict[str, list[float]] = {}
        """Prompt and output of each model, with their fractions."""

    def of(self, model: str) -> Energy:
        """The entry of one model; beyond `MAX_ENERGY_MODELS` the one for all others."""
        if model not in self.by_model and len(self.by_model) >= MAX_ENERGY_MODELS:
            model = OTHER_MODELS
        if model not in self.by_model:
            self._tokens[model] = [0.0, 0.0]
        return self.by_model.setdefault(model, Energy())

    def shared(self, model: str, millijoules: int, prompt: float, output: float) -> None:
        """Requests of `model` did so much in an interval, and got so much of its energy."""
        self.of(model).requests_mj += millijoules
        self.settled.requests_mj += millijoules
        tokens = self._tokens[model if model in self._tokens else OTHER_MODELS]
        tokens[0] += prompt
        tokens[1] += output

    def ended(self, model: str, outcome: Outcome, millijoules: int) -> None:
        """All of a request's time is settled."""
        self._by_outcome[outcome] += millijoules
        if millijoules > 0:
            self.of(model).requests += 1
            self.settled.requests += 1

    def models(self) -> dict[str, Energy]:
        """By the label `model`."""
        for model, (prompt, output) in self._tokens.items():
            entry = self.by_model[model]
            entry.prompt_tokens, entry.output_tokens = round(prompt), round(output)
        return {model: _copy(entry) for model, entry in self.by_model.items()}

    def outcomes(self) -> dict[str, int]:
        """Millijoules of requests by how they ended; together all of them."""
        told = {str(outcome): mj for outcome, mj in self._by_outcome.items()}
        told[Outcome.RUNNING] = self.settled.requests_mj - sum(self._by_outcome.values())
        return {outcome: mj for outcome, mj in told.items() if mj}

    def total(self, device_mj: int, open_mj: int) -> Energy:
        """With what the devices counted, and what of it is open."""
        total = _copy(self.settled)
        total.device_mj, total.open_mj = device_mj, open_mj
        models: Sequence[Energy] = list(self.models().values())
        total.prompt_tokens = sum(entry.prompt_tokens for entry in models)
        total.output_tokens = sum(entry.output_tokens for entry in models)
        return total


def _copy(energy: Energy) -> Energy:
    copied = Energy()
    copied.merge(energy)
    return copied


def unbalanced(energy: Energy) -> int:
    """The devices' energy less all its parts; 0, or there is a mistake in here."""
    parts = energy.idle_mj + energy.requests_mj + energy.unowned_mj + energy.open_mj
    return energy.device_mj - parts
