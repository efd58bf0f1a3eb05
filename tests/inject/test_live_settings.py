"""What may change while a pod runs is no part of the pod."""

from injection_world import judge, model, pod


def test_objectives_change_nothing_about_an_injected_pod() -> None:
    """They come by the configuration file, so no pod is outdated by them."""
    plain = judge(pod(), model())
    judged = judge(pod(), model(slo={"duration": "30s", "objective": "0.95"}))
    assert plain.patched is not None
    assert plain.patched == judged.patched
