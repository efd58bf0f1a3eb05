"""Keys of every provider, made from how its own documentation shows them; none is stored."""

# ruff: noqa: E501 - texts stay whole, and as people write them
from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

# {a36}: 36 letters and digits; h: hex; w: these with - and _; d: digits; u: A-Z and 2-7; c: capitals
# and digits; b: base64.
FORMS: dict[str, tuple[str, ...]] = {
    "openai": ("sk-proj-{w74}T3BlbkFJ{w74}", "sk-{a20}T3BlbkFJ{a20}", "sk-svcacct-{w58}T3BlbkFJ{w58}"),
    "anthropic": ("sk-ant-api03-{w93}AA", "sk-ant-admin01-{w93}AA"),
    "openrouter": ("sk-or-v1-{h64}",),
    "langfuse": ("sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}",),
    "langsmith": ("lsv2_pt_{h32}_{h10}",),
    "huggingface": ("hf_{a34}",),
    "nvidia": ("nvapi-{w64}",),
    "groq": ("gsk_{a52}",),
    "xai": ("xai-{a80}",),
    "perplexity": ("pplx-{a48}",),
    "replicate": ("r8_{a37}",),
    "fireworks": ("fw_{a24}",),
    "tavily": ("tvly-dev-{a32}",),
    "pinecone": ("pcsk_{a6}_{a63}",),
    "aws": ("AKIA{u16}", "ASIA{u16}"),
    "google": ("AIza{w35}", "ya29.{w80}", "GOCSPX-{w28}"),
    "azure": ("{a3}8Q~{w34}",),
    "digitalocean": ("dop_v1_{h64}", "doo_v1_{h64}"),
    "databricks": ("dapi{h32}",),
    "alibaba": ("LTAI{a20}",),
    "planetscale": ("pscale_tkn_{a43}",),
    "flyio": ("fo1_{w43}",),
    "heroku": ("HRKU-{w60}",),
    "hashicorp": ("hvs.{w96}", "{a14}.atlasv1.{w64}"),
    "doppler": ("dp.pt.{a43}",),
    "pulumi": ("pul-{h40}",),
    "github": ("ghp_{a36}", "gho_{a36}", "ghs_{a36}", "github_pat_{a22}_{a59}"),
    "gitlab": ("glpat-{w20}", "gldt-{w20}"),
    "atlassian": ("ATATT3{w180}",),
    "npm": ("npm_{a36}",),
    "pypi": ("pypi-AgEIcHlwaS5vcmc{w90}",),
    "rubygems": ("rubygems_{h48}",),
    "docker": ("dckr_pat_{w27}",),
    "postman": ("PMAK-{h24}-{h34}",),
    "slack": ("xoxb-{d12}-{d12}-{a24}", "xoxp-{d11}-{d11}-{d12}-{h32}", "xapp-1-A{c10}-{d13}-{h64}"),
    "slack-webhook": ("hooks.slack.com/services/T{c8}/B{c10}/{a24}",),
    "discord-webhook": ("discord.com/api/webhooks/{d18}/{w68}",),
    "telegram": ("{d10}:AA{w33}",),
    "stripe": ("sk_live_{a24}", "rk_test_{a24}", "whsec_{a32}"),
    "square": ("sq0atp-{w22}",),
    "shopify": ("shpat_{h32}",),
    "twilio": ("SK{h32}",),
    "sendgrid": ("SG.{w22}.{w43}",),
    "mailgun": ("key-{h32}",),
    "brevo": ("xkeysib-{h64}-{a16}",),
    "mailchimp": ("{h32}-us12",),
    "new-relic": ("NRAK-{c27}",),
    "grafana": ("glsa_{a32}_{h8}",),
    "sentry": ("sntryu_{h64}",),
    "dynatrace": ("dt0c01.{c24}.{c64}",),
    "linear": ("lin_api_{a40}",),
    "notion": ("ntn_{d11}{a35}",),
    "figma": ("figd_{w40}",),
    "supabase": ("sbp_{h40}",),
    "openshift": ("sha256~{w43}",),
    "1password": ("A3-{c6}-{c6}-{c5}-{c5}-{c5}-{c5}",),
    "age": ("AGE-SECRET-KEY-1{c58}",),
}  # fmt: skip
KEYS_PER_FORM = 5

_SMALL, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
_SETS = {
    "a": _SMALL + _SMALL.upper() + _DIGITS,
    "w": _SMALL + _SMALL.upper() + _DIGITS + "_-",
    "h": _DIGITS + "abcdef",
    "d": _DIGITS,
    "u": _SMALL.upper() + "234567",
    "c": _SMALL.upper() + _DIGITS,
}
_FIELD = re.compile(r"\{(\w)(\d+)\}")


def made(form: str, random: Random) -> str:
    """Make a key of a form; it does not end in a dash, which a sentence might own."""

    def fill(field: re.Match[str]) -> str:
        signs = random.choices(_SETS[field[1]], k=int(field[2]) - 1)
        return "".join(signs) + random.choice(_SETS[field[1]].rstrip("_-"))

    return _FIELD.sub(fill, form)


def keys(random: Random) -> Iterator[str]:
    """Yield some keys of every form."""
    for forms in FORMS.values():
        for form in forms:
            for _ in range(KEYS_PER_FORM):
                yield made(form, random)
