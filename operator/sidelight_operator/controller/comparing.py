"""Comparisons of versions, as rounds see them: whose strata are asked for, and what is told.

What must outlive the controller stands in `status.compare`; only the readings of the minute that is
under way are here.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal

from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.status import CompareStatus
from sidelight_contract.summary import Summary
from sidelight_operator.controller.adapters import strata_by_version
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.version import NOT_YET
from sidelight_operator.verdict.comparison import proceed
from sidelight_operator.verdict.ledger import Ledger, Reading


class Comparisons:
    """One ledger for each ObservedModel that compares."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}

    def forget_models(self, but: Collection[str]) -> None:
        """Keep those with these uids alone."""
        self._ledgers = {uid: ledger for uid, ledger in self._ledgers.items() if uid in but}

    def due(self, model: Model, now: datetime) -> bool:
        """Whether the sidecars are to be asked for their strata in this round."""
        if model.spec is None or model.spec.compare is None:
            self._ledgers.pop(model.uid, None)
            return False
        return self._ledgers.setdefault(model.uid, Ledger()).due(now)

    def proceed(
        self,
        model: Model,
        pods: Sequence[PodView],
        answers: Mapping[str, object],
        now: datetime,
        *,
        due: bool,
    ) -> CompareStatus | None:
        """The comparison after this round; None where none is asked for."""
        if model.spec is None:
            return before(model)
        if model.spec.compare is None:
            return None
        own = [pod for pod in pods if pod.model == model.name]
        block = None
        if due:
            block = self._ledgers[model.uid].close(_readings(own, answers), now)
        versions: dict[str, datetime] = {}
        for pod in own:
            if pod.version == NOT_YET:
                continue
            versions[pod.version] = min(pod.created, versions.get(pod.version, pod.created))
        return proceed(model.spec.compare, before(model), versions, block, now)


def _readings(pods: Sequence[PodView], answers: Mapping[str, object]) -> list[Reading]:
    return [
        Reading(pod.uid, answer.sidecar.boot_id, version, rows)
        for pod in pods
        if isinstance(answer := answers.get(pod.uid), Summary)
        for version, rows in strata_by_version(pod.version, answer).items()
    ]


def before(model: Model) -> CompareStatus | None:
    """The comparison as the last round left it; one that cannot be read begins anew."""
    try:
        found = CompareStatus.model_validate(model.status["compare"])
        return found if parse_time(found.since).tzinfo else None
    except (KeyError, ValueError):
        return None


_STATUS: dict[str, Literal["True", "False", "Unknown"]] = {"Promote": "True", "Rollback": "False"}


def verdict_condition(compare: CompareStatus | None) -> tuple[Judged, ...]:
    """The condition Verdict; none where nothing is compared."""
    if compare is None:
        return ()
    status = _STATUS.get(compare.verdict, "Unknown")
    return ((ConditionType.VERDICT, status, Reason(compare.verdict), said(compare)),)


def said(compare: CompareStatus) -> str:
    """The verdict's reasons in one line."""
    return "; ".join(compare.reasons)
