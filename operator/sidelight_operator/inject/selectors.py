"""Label selectors, with Kubernetes' own semantics."""

from collections.abc import Mapping

from sidelight_contract.spec import Engine, Selector, SelectorOperator, SelectorRequirement


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a pod with `labels` is selected. An empty selector selects nothing here: the API
    server refuses it, and an error must not inject a whole namespace.
    """
    if not selector.match_labels and not selector.match_expressions:
        return False
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def serves(engine: Engine, labels: Mapping[str, str]) -> bool:
    """Whether a selected pod is one that serves, by `spec.engine.podFilter`: of a
    LeaderWorkerSet's pods only the leader does.
    """
    return engine.pod_filter is None or matches(engine.pod_filter, labels)


def _holds(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case SelectorOperator.IN:
            return value in requirement.values
        case SelectorOperator.NOT_IN:
            return value is None or value not in requirement.values
        case SelectorOperator.EXISTS:
            return value is not None
        case SelectorOperator.DOES_NOT_EXIST:
            return value is None
