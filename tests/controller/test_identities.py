"""What a version's row says of who answered: readable, bounded, and what most pods have."""

import json
from dataclasses import replace
from typing import Any

from controller_world import DIGEST, VERSION, pod_body, summary

from sidelight_contract.identity import MAX_SETTINGS, RuntimeIdentity, ServedModel, WeightsFrom
from sidelight_contract.status import (
    MAX_ADAPTERS_SHOWN,
    MAX_SETTING_SHOWN,
    MAX_SETTINGS_SHOWN,
    Identity,
)
from sidelight_contract.summary import Summary
from sidelight_operator.controller.identities import identity_of
from sidelight_operator.controller.pods import PodView, view_pod
from sidelight_operator.controller.versions import versions_of

Member = tuple[PodView, Summary]


def member(name: str, *args: str, **identity: Any) -> Member:
    body = pod_body(name)
    body["spec"]["containers"][0]["args"] = list(args)
    return view_pod(body, ["version"]), summary(1, identity=RuntimeIdentity(1.0, **identity))


def shown(*members: Member, **more: Any) -> Identity:
    return identity_of(members[0][0], members, served_models=["m"], **more)


def test_who_answered_is_shown_with_what_changes_outputs() -> None:
    """The engine's own word before the arguments, and short."""
    found = shown(
        member(
            "a", "-c", "4096", "--lora", "/l",
            engine_version="b6000", settings={"max_model_len": "1024"},
            weights=f"sha256:{DIGEST}", weights_from=WeightsFrom.FILES,
            tokenizer=f"sha256:{DIGEST}", template=f"sha256:{DIGEST}",
            models=[ServedModel("l2", "m"), ServedModel("l1", "m"), ServedModel("m")],
        )
    )  # fmt: skip
    assert found == Identity(
        served_models=["m"], image="example/llama-server:b42", image_digest=VERSION,
        engine="LlamaCpp", engine_version="b6000", weights=VERSION, tokenizer=VERSION,
        template=VERSION, settings={"lora": "/l", "max_model_len": "1024"},
        adapters=["l1", "l2"],
    )  # fmt: skip


def test_of_pods_that_differ_it_is_what_most_have() -> None:
    """Whatever order they come in; the condition names the others."""
    members = [
        member(name, engine_version=version) for name, version in zip("abc", "121", strict=True)
    ]
    assert shown(*members).engine_version == shown(*members[::-1]).engine_version == "1"


def test_why_there_is_no_digest_of_files_is_shown() -> None:
    """One pod that could not be read is told of; where nobody asked there is nothing to say."""
    read = [member(name, weights_state="read") for name in "abc"]
    assert shown(member("x")).weights_state == ""
    assert shown(*read).weights_state == "read"
    assert shown(*read, member("x", weights_state="not_permitted")).weights_state == "not_permitted"


def test_files_tell_more_than_a_word() -> None:
    """Of a version whose pods' weights are known by both."""
    word = [member(name, weights="main", weights_from=WeightsFrom.ENGINE) for name in "ab"]
    files = member("c", weights=f"sha256:{DIGEST}", weights_from=WeightsFrom.FILES)
    assert shown(*word).weights == "main"
    assert shown(*word, files).weights == VERSION


def test_what_a_request_gets_that_does_not_say_is_one_line() -> None:
    """And what is declared of it stands beside it."""

    def settings(temperature: str, *args: str) -> dict[str, str]:
        told = {f"sampling.s{number}": "0" for number in range(18)}
        told["sampling.temperature"] = temperature
        return shown(member("a", *args, settings=told)).settings

    usual = settings("0.8")
    assert list(usual) == ["sampling"]
    assert len(usual["sampling"]) == len(VERSION)
    assert settings("0.7")["sampling"] != usual["sampling"] == settings("0.8")["sampling"]
    assert settings("0.7", "--temp", "0.70")["sampling.temperature"] == "0.7"


def test_weights_that_are_not_compared_as_a_whole_are_shown() -> None:
    """Ollama's are a digest of all its models."""
    pod, answer = member("a", weights=f"sha256:{DIGEST}", weights_from=WeightsFrom.ENGINE)
    ollama = replace(pod, injection=replace(pod.injection, engine="Ollama")), answer
    assert shown(ollama).weights == VERSION


def test_of_an_adapter_its_own_is_shown() -> None:
    """The rest stands with the model's version."""
    models = [ServedModel("l", "m", "/adapters/l"), ServedModel("m", root="/m")]
    told = member("a", "-c", "1", models=models, engine_version="1", tokenizer="t")
    found = shown(told, adapter="l", parent="m")
    assert (found.weights, found.parent, found.engine_version) == ("/adapters/l", "m", "1")
    assert (found.settings, found.adapters, found.tokenizer) == ({}, [], "")


def test_before_anything_is_told_there_is_the_image() -> None:
    """A sidecar of an older release tells nothing."""
    pod = view_pod(pod_body("a"), ["version"])
    (version,) = versions_of([(pod, summary(1))]).shown
    assert version.identity == Identity(
        served_models=["smollm2"], image="example/llama-server:b42", image_digest=VERSION,
        engine="LlamaCpp",
    )  # fmt: skip


def test_it_is_bounded() -> None:
    """Many long settings and adapters are some 6 kB; single words come before parts of a whole."""
    settings = {f"model_config:{number:02}": "s" for number in range(10)}
    settings |= {f"z{number:02}" + "n" * 90: "y" * 256 for number in range(MAX_SETTINGS - 11)}
    settings["n" * 200] = "x"
    models = [ServedModel(f"{number:03}" + "l" * 125, "m") for number in range(60)]
    found = shown(member("a", settings=settings, models=models, weights="w" * 256))
    assert len(found.settings) == MAX_SETTINGS_SHOWN
    assert all(name.startswith("z") for name in found.settings)
    assert {len(value) for value in found.settings.values()} <= set(range(MAX_SETTING_SHOWN + 1))
    assert len(found.adapters) == MAX_ADAPTERS_SHOWN
    assert len(json.dumps(found.model_dump(by_alias=True))) < 7_000
