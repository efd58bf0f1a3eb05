"""Keys and tokens that begin as only their provider's do.

A rule is a prefix and at least so many characters: prefixes are stable, lengths grow, so a token is
masked to its end however long it is. From the providers' documentation and the rules that public
scanners of secrets agree on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import EDGE, Verdict, compiled, scan, token_end, unescaped

# By provider: what its tokens match. A test holds each to an example of its own.
RULES: dict[str, bytes] = {
    "openai": rb"sk-(?:proj|svcacct|admin|None)-[\w-]{20}|sk-[A-Za-z0-9]{20}|sess-[A-Za-z0-9]{40}",
    "anthropic": rb"sk-ant-[a-z]{3,8}\d\d-[\w-]{20}",
    "openrouter": rb"sk-or-v1-[0-9a-f]{32}",
    "langfuse": rb"[sp]k-lf-[0-9a-f]{8}-[0-9a-f]{4}-",
    "langsmith": rb"lsv2_(?:pt|sk)_[0-9a-f]{32}",
    "huggingface": rb"hf_[A-Za-z0-9]{30}|api_org_[A-Za-z0-9]{30}",
    "nvidia": rb"nvapi-[\w-]{40}",
    "groq": rb"gsk_[A-Za-z0-9]{40}",
    "xai": rb"xai-[A-Za-z0-9]{60}",
    "perplexity": rb"pplx-[A-Za-z0-9]{40}",
    "replicate": rb"r8_[A-Za-z0-9]{36}",
    "fireworks": rb"fw_[A-Za-z0-9]{20}",
    "tavily": rb"tvly-(?:dev-)?[A-Za-z0-9]{28}",
    "pinecone": rb"pcsk_[A-Za-z0-9_]{50}",
    "aws": rb"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}|ABSK[A-Za-z0-9+/]{100}",
    "google": rb"AIza[\w-]{35}|ya29\.[\w-]{30}|GOCSPX-[\w-]{24}|1//0[\w-]{30}",
    "azure": rb"[\w~.]{3}[0-9]Q~[\w~.-]{31}",
    "digitalocean": rb"do[opr]_v1_[0-9a-f]{64}",
    "databricks": rb"dapi[0-9a-f]{32}",
    "alibaba": rb"LTAI[A-Za-z0-9]{16}",
    "planetscale": rb"pscale_(?:tkn|oauth|pw)_[\w.=-]{32}",
    "flyio": rb"fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100}",
    "heroku": rb"HRKU-[\w-]{36}",
    "hashicorp": rb"hv[sb]\.[\w-]{24}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60}",
    "doppler": rb"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40}",
    "pulumi": rb"pul-[0-9a-f]{40}",
    "github": rb"gh[oprsu]_[A-Za-z0-9]{36}|github_pat_\w{60}",
    "gitlab": rb"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w-]{20}",
    "atlassian": rb"ATATT3[\w=-]{60}|ATCTT3[\w=-]{60}",
    "npm": rb"npm_[A-Za-z0-9]{36}",
    "pypi": rb"pypi-Ag[A-Za-z0-9][\w-]{50}",
    "rubygems": rb"rubygems_[0-9a-f]{48}",
    "docker": rb"dckr_(?:pat|oat)_[\w-]{27}",
    "postman": rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "slack": rb"xox[a-z](?:\.xox[bp])?-[\w-]{10}|xapp-\d-[A-Z0-9]{8}",
    "slack-webhook": rb"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/]{30}",
    "discord-webhook": rb"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60}",
    "telegram": rb"\d{8,10}:AA[\w-]{33}",
    "stripe": rb"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{16}|whsec_[A-Za-z0-9+/]{24}",
    "square": rb"sq0(?:atp|csp)-[\w-]{22}|EAAA[\w-]{56}",
    "shopify": rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "twilio": rb"SK[0-9a-f]{32}",
    "sendgrid": rb"SG\.[\w-]{16,24}\.[\w-]{40}",
    "mailgun": rb"key-[0-9a-f]{32}",
    "brevo": rb"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}",
    "mailchimp": rb"[0-9a-f]{32}-us\d\d?",
    "new-relic": rb"NRAK-[A-Z0-9]{27}|NRII-[\w-]{32}|NRJS-[0-9a-f]{19}",
    "grafana": rb"gl(?:c_[A-Za-z0-9+/]{32}|sa_[A-Za-z0-9]{32}_[0-9a-f]{8})",
    "sentry": rb"sntry[su]_[\w+/=-]{40}",
    "dynatrace": rb"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "linear": rb"lin_(?:api|oauth)_[A-Za-z0-9]{40}",
    "notion": rb"ntn_\d{11}[A-Za-z0-9]{35}",
    "figma": rb"fig[dor]_[\w-]{36}",
    "supabase": rb"sb[ps]_[0-9a-f]{40}|sb_secret_[\w-]{20}",
    "openshift": rb"sha256~[\w-]{43}",
    "1password": rb"ops_eyJ[A-Za-z0-9+/]{100}|A3-[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}-[A-Z0-9]{5}-",
    "age": rb"AGE-SECRET-KEY-1[0-9A-Z]{58}",
}

_SOURCE = EDGE + rb"(?:" + rb"|".join(RULES.values()) + rb")"
_PATTERN = compiled(_SOURCE)
_RUN = compiled(rb"[\w.=~+/-]*")
_BEGINNING = compiled(rb"[\w.=~+/-]{0,64}")
_DIGITS = frozenset(b"0123456789")
_TAIL = b".=~+/-"


class ProviderKeys:
    """Finds keys and tokens by their prefixes."""

    names = ("api-key",)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge)


def _judge(data: bytes, start: int, end: int) -> Verdict:
    start = unescaped(data, start)
    # A key has digits or capitals; `sk-` and twenty small letters are somebody's words.
    token = data[start : token_end(_BEGINNING, data, end)]
    if token.islower() and not any(byte in _DIGITS for byte in token[3:]):
        return None, end
    stop = token_end(_RUN, data, end)
    while stop > end and data[stop - 1] in _TAIL:  # what ends a sentence, not a token
        stop -= 1
    return Finding(start, stop, "api-key"), stop
