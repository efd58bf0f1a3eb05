"""Whether the pods of a version are one thing: what counts as a difference, and what is said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from controller_world import DIGEST, pod_body, summary
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.identity import MAX_MODELS, RuntimeIdentity, ServedModel, WeightsFrom
from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.summary import Summary
from sidelight_operator.controller.consistency import MAX_MESSAGE, version_consistent
from sidelight_operator.controller.models import parse_time
from sidelight_operator.controller.pods import PodView, view_pod

NOW = parse_time("2026-11-24T12:00:00Z")
Member = tuple[PodView, Summary]


def member(
    name: str,
    *args: str,
    version: str = "v1",
    image_id: str = "",
    created: str = "2026-11-24T11:00:00Z",
    asked: bool = True,
    **identity: Any,
) -> Member:
    """A pod of a version, with these arguments and what its engine told."""
    body = pod_body(name, labels={"sidelight.dev/version": version}, created=created)
    body["spec"]["containers"][0]["args"] = list(args)
    if image_id:
        body["status"]["containerStatuses"][0]["imageID"] = image_id
    told = RuntimeIdentity(read_at=1.0 if asked else 0.0, **identity)
    return view_pod(body, ["sidelight.dev/version"]), summary(1, identity=told)


def judged(*members: Member) -> tuple[str, str]:
    ((kind, status, reason, message),) = version_consistent(members)
    assert kind is ConditionType.VERSION_CONSISTENT
    assert (status, reason) in (("True", Reason.PODS_ALIKE), ("False", Reason.PODS_DIFFER))
    return status, message


def test_the_odd_one_is_named_with_both_values() -> None:
    """The minority is odd, and the message says what it is and what the others are."""
    others = [member(name, settings={"dtype": "bfloat16"}) for name in ("a", "b", "c")]
    odd = member("chat-abc", settings={"dtype": "float16"})
    assert judged(*others, odd) == (
        "False",
        "version v1: pod chat-abc has dtype float16, 3 others bfloat16",
    )


def test_what_pods_declare_is_enough() -> None:
    """Where no engine tells anything; a default is a value, too."""
    assert judged(member("a", "-c", "512"), member("b", "-c", "512")) == (
        "True",
        "pods of one version are alike in all that is known of them",
    )
    assert judged(
        member("a", "-c", "512"), member("b", "-c", "1024"), member("c", "-c", "512")
    ) == (
        "False",
        "version v1: pod b has max_model_len 1024, 2 others 512",
    )
    assert judged(member("a"), member("b"), member("c", "--cache-type-k", "q8_0")) == (
        "False",
        "version v1: pod c has kv_cache_dtype q8_0, 2 others (default)",
    )


def test_engines_that_tell_the_same_are_the_same_whatever_their_arguments() -> None:
    """One says what is the other's default."""
    told = {"settings": {"max_model_len": "512"}}
    assert judged(member("a", "-c", "512", **told), member("b", **told))[0] == "True"


def test_an_engine_that_was_not_asked_yet_is_waited_for() -> None:
    """Its arguments may be another way to say the same."""
    told = {"settings": {"max_model_len": "512"}}
    waiting = member("b", asked=False)
    assert judged(member("a", "-c", "512", **told), waiting)[0] == "True"
    silent = member("b")
    assert judged(member("a", "-c", "512", **told), silent)[0] == "False"


def test_an_engine_that_is_silent_where_others_tell_is_held_to_its_arguments() -> None:
    """SGLang tells a quantization only where there is one."""
    telling = [member(name, "-c", "512", settings={"max_model_len": "512"}) for name in "ab"]
    assert judged(*telling, member("c"))[1] == (
        "version v1: pod c has max_model_len (default), 2 others 512"
    )
    assert judged(*telling, member("c", "-c", "512"))[0] == "True"


@pytest.mark.parametrize(
    ("one", "two", "says"),
    [
        ({"engine_version": "1"}, {"engine_version": "2"}, "pod b has engine version 2, 1 other 1"),
        (
            {"weights": f"sha256:{DIGEST}", "weights_from": WeightsFrom.FILES},
            {"weights": f"sha256:{DIGEST[::-1]}", "weights_from": WeightsFrom.FILES},
            f"pod b has weights (files) sha256:{DIGEST[::-1][:12]}, 1 other sha256:{DIGEST[:12]}",
        ),
        ({"tokenizer": "x"}, {"tokenizer": "y"}, "pod b has tokenizer fingerprint y, 1 other x"),
        ({"template": "x"}, {"template": "y"}, "pod b has template fingerprint y, 1 other x"),
        (
            {"models": [ServedModel("m")]},
            {"models": [ServedModel("n")]},
            "pod b has models n, 1 other m",
        ),
        (
            {"models": [ServedModel("m", root="/1")]},
            {"models": [ServedModel("m", root="/2")]},
            "pod b has root of m /2, 1 other /1",
        ),
        ({"image_id": "sha256:" + "c" * 64}, {}, "has image sha256:"),
    ],
)
def test_whatever_changes_answers_is_compared(
    one: dict[str, Any], two: dict[str, Any], says: str
) -> None:
    """Each alone is enough."""
    status, message = judged(member("a", **one), member("b", **two))
    assert status == "False"
    assert says in message


def test_weights_by_files_and_by_word_are_two_things() -> None:
    """One sidecar could read them and the other could not."""
    files = member("a", weights="sha256:1", weights_from=WeightsFrom.FILES)
    word = member("b", weights="main", weights_from=WeightsFrom.ENGINE)
    assert judged(files, word)[0] == "True"


def test_adapters_may_come_and_go() -> None:
    """They are versions of their own; two of one name from two places are a difference."""
    plain = member("a", models=[ServedModel("m")])
    adapted = member("b", models=[ServedModel("l", "m", "/1"), ServedModel("m")])
    assert judged(plain, adapted)[0] == "True"
    other = member("c", models=[ServedModel("l", "m", "/2"), ServedModel("m")])
    assert "root of l" in judged(plain, adapted, other)[1]


@pytest.mark.parametrize("engine", ["Ollama", "Triton"])
def test_engines_that_take_in_models_are_compared_model_by_model(engine: str) -> None:
    """One was asked for a model that the other was not; what both have must be the same."""

    def pod(name: str, **roots: str) -> Member:
        models = [ServedModel(model, root=root) for model, root in roots.items()]
        made, answer = member(name, models=models, weights=str(roots))
        return replace(made, injection=replace(made.injection, engine=engine)), answer

    assert judged(pod("a", m="1"), pod("b", m="1", n="2"))[0] == "True"
    assert judged(pod("a", m="1"), pod("b", m="3", n="2"))[1] == (
        "version v1: pod b has root of m 3, 1 other 1"
    )


def test_names_that_were_cut_are_not_compared() -> None:
    """More are served than are told."""
    many = [ServedModel(f"m{number}") for number in range(MAX_MODELS)]
    assert judged(member("a", models=many), member("b", models=many[1:] + many[:1]))[0] == "True"
    assert judged(member("a", models=many), member("b", models=[ServedModel("m")]))[0] == "True"


def test_versions_are_judged_apart() -> None:
    """Two versions differ, of course; a message names those whose pods do."""
    pods = [member("a", "-c", "1"), member("b", "-c", "2", version="v2")]
    assert judged(*pods)[0] == "True"
    more = [member("c", "-c", "3", version="v2"), member("d", "-c", "3", version="v2")]
    assert judged(*pods, *more)[1] == "version v2: pod b has max_model_len 2, 2 others 3"


def test_of_as_many_the_younger_are_odd() -> None:
    """Whatever they are called."""
    old = member("z", "-c", "1", created="2026-11-24T10:00:00Z")
    assert judged(old, member("a", "-c", "2"))[1].startswith("version v1: pod a has")


def test_pods_that_were_never_ready_are_left_out() -> None:
    """And while there are no others nothing is said."""
    pod, answer = member("b", "-c", "2")
    starting = replace(pod, never_ready=True), answer
    assert judged(member("a", "-c", "1"), starting)[0] == "True"
    assert version_consistent([starting]) == ()
    assert version_consistent([(replace(pod, version=""), answer)]) == ()
    assert version_consistent([]) == ()


def round_after(
    before: str, *members: Member, silent: Sequence[Member] = (), status: str = "False"
) -> tuple[str, str]:
    """What is judged where the round before had this message, and some pods are silent."""
    told = version_consistent(
        members, [pod for pod, _ in silent], {"status": status, "message": before}
    )
    return told[0][1], told[0][3]


def test_an_odd_pod_that_falls_silent_is_odd_still() -> None:
    """And so it is when its siblings do; no Event comes and goes with a sidecar's answer."""
    a, b, odd = member("a", "-c", "1"), member("b", "-c", "1"), member("c", "-c", "2")
    said = judged(a, b, odd)[1]
    assert round_after(said, a, b, silent=[odd]) == ("False", said)
    assert round_after(said, odd, silent=[a, b]) == ("False", said)
    assert round_after(said, silent=[a, b, odd]) == ("False", said)


def test_a_pod_that_was_put_right_is_alike_whoever_is_silent() -> None:
    """Under another name, or under the same one."""
    a, b, odd = member("a", "-c", "1"), member("b", "-c", "1"), member("c", "-c", "2")
    said = judged(a, b, odd)[1]
    assert round_after(said, a, b, member("d", "-c", "1"))[0] == "True"
    assert round_after(said, a, member("d", "-c", "1"), silent=[b])[0] == "True"
    assert round_after(said, a, member("c", "-c", "1"), silent=[b])[0] == "True"


def test_pods_that_were_alike_stay_so_while_nobody_answers() -> None:
    """But without pods there is nothing to say."""
    silent = [member("a"), member("b")]
    assert round_after("m", silent=silent, status="True")[0] == "True"
    assert version_consistent([], [pod for pod, _ in silent]) == ()


def test_the_message_is_bounded() -> None:
    """Many versions, many pods with long names, many settings with long values."""
    members = [
        member(
            f"pod-{'x' * 200}-{number}", version=f"{'v' * 60}{number % 5}",
            settings={f"setting{key}": f"{number}" + "y" * 250 for key in range(30)},
        )
        for number in range(60)
    ]  # fmt: skip
    status, message = judged(*members)
    assert status == "False"
    assert len(message) <= MAX_MESSAGE


def test_a_few_are_named_and_the_rest_counted() -> None:
    """Pods, settings and versions alike."""
    odd = [member(f"o{number}", "-c", "2") for number in range(5)]
    usual = [member(f"u{number}", "-c", "1") for number in range(6)]
    assert judged(*odd, *usual)[1] == (
        "version v1: pods o0, o1, o2 and 2 more have max_model_len 2, 6 others 1"
    )
    several = [
        member("a", "-c", "1"), member("b", "-c", "1"),
        member("c", "-c", "2", "--lora", "/l", "--alias", "n", "--seed", "1"),
    ]  # fmt: skip
    assert judged(*several)[1].endswith("; also differ: served_name")


_names = st.sampled_from(["dtype", "quantization", "max_model_len"])
_settings = st.dictionaries(_names, st.sampled_from(["1", "2"]), max_size=3)
_arguments = st.lists(
    st.sampled_from([("-c", "1"), ("-c", "2"), ("--seed", "1"), ("-ctk", "q8_0")]), max_size=2
)


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        words = [word for pair in draw(_arguments) for word in pair]
        made.append(
            member(
                f"p{number}", *words, version=draw(st.sampled_from(["v1", "v2"])),
                asked=draw(st.booleans()), settings=draw(_settings),
                engine_version=draw(st.sampled_from(["", "1", "2"])),
            )
        )  # fmt: skip
    return made


@given(_members(), st.randoms(use_true_random=False))
def test_the_order_of_pods_does_not_matter(members: list[Member], random: Any) -> None:
    """Not for the verdict, and not for the message."""
    shuffled = list(members)
    random.shuffle(shuffled)
    assert version_consistent(members) == version_consistent(shuffled)


@given(_members())
def test_a_lone_pod_never_differs(members: list[Member]) -> None:
    """Whatever is known of it."""
    assert judged(members[0])[0] == "True"


@given(_members())
def test_alike_pods_never_differ(members: list[Member]) -> None:
    """However many there are."""
    pod, answer = members[0]
    twins = [(replace(pod, name=f"t{number}", uid=str(number)), answer) for number in range(4)]
    assert judged(*twins)[0] == "True"


@given(_members())
def test_what_is_not_known_never_differs(members: Sequence[Member]) -> None:
    """A pod that declares nothing for certain, and whose engine tells nothing, changes nothing."""
    body = pod_body("nobody", labels={"sidelight.dev/version": "v1"})
    body["spec"]["containers"][0]["command"] = ["/start.sh"]
    unknown = view_pod(body, ["sidelight.dev/version"]), summary(1)
    before, after = version_consistent(members), version_consistent([*members, unknown])
    assert [one[1] for one in before] == [one[1] for one in after]


def test_summaries_of_an_older_release_are_alike() -> None:
    """They have no identity."""
    plain = [(pod, summary(1)) for pod, _ in (member("a"), member("b"))]
    assert judged(*plain)[0] == "True"
