"""The webhook's view is put right by a list, and the watch's word is not lost by it."""

from typing import Any

import pytest
from admission_world import model_object, namespace_object
from hypothesis import given
from hypothesis import strategies as st

from sidelight_operator.webhook.view import ClusterView

LABELS = {"ml": {"pod-security.kubernetes.io/enforce": "restricted"}}


@pytest.fixture
def view() -> ClusterView:
    made = ClusterView()
    made.model_event(None, "ml", "chat", model_object()["spec"])
    made.namespace_event(None, "ml", namespace_object()["metadata"]["labels"])
    return made


def names_in(view: ClusterView, namespace: str = "ml") -> list[str]:
    return sorted(model.name for model in view.models_in(namespace))


def test_a_list_that_says_the_same_corrects_nothing(view: ClusterView) -> None:
    """Not even an ObservedModel whose spec is not understood."""
    strange = {**model_object("strange"), "spec": {"selector": "none"}}
    view.model_event(None, "ml", "strange", strange["spec"])
    chat = view.models_in("ml")[0]
    assert view.put_right([model_object(), strange], {"ml": {}}, view.now) == 0
    assert view.models_in("ml")[0] is chat


def test_what_was_deleted_while_the_watch_was_away_goes(view: ClusterView) -> None:
    """After an interruption kopf lists again, and says nothing of what is there no more."""
    assert view.put_right([], {"ml": {}}, view.now) == 1
    assert names_in(view) == []
    assert view.seen_models == set()


def test_what_a_deaf_watch_has_not_brought_comes(view: ClusterView) -> None:
    """A new ObservedModel, another spec, an open breaker, another label, a namespace that went."""
    view.namespace_event(None, "gone", {})
    changed = model_object()
    changed["metadata"]["generation"] = 2
    changed["spec"] = {"selector": {"matchLabels": {"app": "other"}}}
    changed["status"] = {"breaker": [{"workload": "deployment/chat", "generation": 2}]}
    assert view.put_right([changed, model_object("new")], LABELS, view.now) == 4
    assert names_in(view) == ["chat", "new"]
    chat = next(model for model in view.models_in("ml") if model.name == "chat")
    assert chat.spec.selector.match_labels == {"app": "other"}
    assert chat.breaker == {"deployment/chat"}
    assert view.facts_of("ml").labels == LABELS["ml"]
    assert view.seen_namespaces == {"ml"}


def test_what_the_watch_brought_while_the_list_was_read_stays(view: ClusterView) -> None:
    """The list may be older: of these it is not believed, once."""
    since = view.now
    view.model_event("ADDED", "ml", "new", model_object()["spec"])
    view.model_event("DELETED", "ml", "chat", {})
    view.namespace_event("MODIFIED", "ml", LABELS["ml"])
    assert view.put_right([model_object()], {"ml": {}}, since) == 0
    assert names_in(view) == ["new"]
    assert view.facts_of("ml").labels == LABELS["ml"]
    assert view.put_right([model_object()], {"ml": {}}, view.now) == 3
    assert names_in(view) == ["chat"]


def test_namespaces_that_are_not_watched_are_left_alone(view: ClusterView) -> None:
    """A Role lets nobody list them."""
    assert view.put_right([model_object()], None, view.now) == 0
    assert view.seen_namespaces == {"ml"}


EVENT = st.tuples(st.sampled_from(["ADDED", "DELETED"]), st.sampled_from("abc"))


@given(st.lists(EVENT), st.sets(st.sampled_from("abc")))
def test_after_a_list_the_view_is_what_was_listed(
    events: list[tuple[str, str]], there: set[str]
) -> None:
    """Whatever the watch had told, and how often it is compared."""
    view = ClusterView()
    for kind, name in events:
        view.model_event(kind, "ml", name, model_object()["spec"])
    listed: list[dict[str, Any]] = [model_object(name) for name in sorted(there)]
    view.put_right(listed, {}, view.now)
    assert set(names_in(view)) == there
    assert view.seen_models == {("ml", name) for name in there}
    assert view.put_right(listed, {}, view.now) == 0
