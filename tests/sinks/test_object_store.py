"""The object store sink without a server: local folders, and what is wrong with settings."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import msgspec
import pytest
from shipping import entries, record, write_secret

from sidelight_contract.export import ObjectStoreSinkSettings
from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.object_store import KEYS, ObjectStoreSink, credentials
from sidelight_sidecar.capture.sinks.secret import SecretError
from sidelight_sidecar.coding import zstd
from sidelight_sidecar.records.record import Origin

GOOGLE = (
    '{"gcs_base_url": "%s", "disable_oauth": true,'
    ' "client_email": "", "private_key": "", "private_key_id": ""}'
)


def sink(folder: Path, url: str, **settings: str) -> ObjectStoreSink:
    """One whose Secret is in `folder`."""
    made = ObjectStoreSinkSettings(name="store", url=url, **settings)
    return ObjectStoreSink("store", made, folder / "secret")


class Refusing(BaseHTTPRequestHandler):
    """Says no, as the first part of the path says how, and repeats what it was sent."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        body = str(self.headers).encode()
        self.send_response(int(self.path.split("/")[1][-3:]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Its address."""
    Refusing.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def test_a_local_folder_is_a_store_too(tmp_path: Path):
    """Made where it is not there; the same batch twice is one file."""
    store = sink(tmp_path, f"file://{tmp_path}/with%20space/in")
    batch = entries([record(1), record(2)])
    for _ in range(2):
        assert (await store.send(batch)).outcome is Outcome.DELIVERED
    (path,) = (tmp_path / "with space/in").rglob("*.zst")
    assert zstd.decompress(path.read_bytes()).splitlines() == [record(1), record(2)]
    await store.close()


async def test_no_name_leads_out_of_the_folder(tmp_path: Path):
    """By what is there afterwards."""
    names = ["..", "../../out", "/out", "a/../../out"]
    origins = [Origin(namespace=name, observed_model=name, version=name) for name in names]
    batch = entries([record(number, origin) for number, origin in enumerate(origins)])
    assert (await sink(tmp_path, f"file://{tmp_path}/in").send(batch)).outcome is Outcome.DELIVERED
    found = sorted(tmp_path.rglob("*"))  # noqa: ASYNC240 - a test waits for nobody
    assert {path.relative_to(tmp_path).parts[0] for path in found} == {"in"}
    assert sum(path.suffix == ".zst" for path in found) == 4


async def test_what_is_no_record_is_refused(tmp_path: Path):
    """The shipper finds out which of a batch."""
    batch = entries([record(1), b"{}"])
    delivery = await sink(tmp_path, f"file://{tmp_path}/in").send(batch)
    assert delivery[:2] == (Outcome.REFUSED, "not a record")
    assert not (tmp_path / "in").exists()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    """A file is in the way."""
    (tmp_path / "taken").write_text("")
    delivery = await sink(tmp_path, f"file://{tmp_path}/taken/in").send(entries([record(1)]))
    assert delivery.outcome is Outcome.LATER
    assert delivery.why.startswith("failed")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "not authenticated (status 401)"),
        (403, "not allowed, or wrong secret (status 403)"),
        (404, "no such bucket or account (status 404)"),
        (429, "failed (status 429)"),
        (503, "failed (status 503)"),
    ],
)
@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
async def test_a_refusal_is_told_in_words_of_ours_and_not_tried_again_here(
    tmp_path: Path, refusing: str, scheme: str, status: int, why: str
):
    """By each provider's protocol, though the answer repeats the request's headers."""
    write_secret(
        tmp_path / "secret", access_key_id="hush", secret_access_key="hush", account_key="aHVzaA==",
        account_name=f"account{status}", service_account_key=GOOGLE % refusing,
    )  # fmt: skip
    url = f"{scheme}://bucket{status}/logs"
    # Of Azure's path the account is a part, and names here say what is answered.
    endpoint = f"{refusing}/account{status}" if scheme == "az" else refusing
    delivery = await sink(tmp_path, url, endpoint=endpoint).send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, why)
    assert len(Refusing.asked) == 1
    assert "/logs/namespace=" in unquote(Refusing.asked[0])


async def test_without_tls_only_where_the_endpoint_says_so(tmp_path: Path, refusing: str):
    """The key of a Google account may name an address, too: it is not followed in the clear."""
    write_secret(tmp_path / "secret", service_account_key=GOOGLE % refusing)
    delivery = await sink(tmp_path, "gs://bucket200").send(entries([record(1)]))
    assert delivery.outcome is Outcome.LATER
    assert Refusing.asked == []


async def test_nobody_there_is_said(tmp_path: Path):
    """At once."""
    write_secret(tmp_path / "secret", access_key_id="a", secret_access_key="b")
    delivery = await sink(tmp_path, "s3://b", endpoint="http://127.0.0.1:1").send(
        entries([record(1)])
    )
    assert delivery[:2] == (Outcome.LATER, "no connection")


@pytest.mark.parametrize(
    ("scheme", "values"),
    [
        ("s3", {"password": "hush"}),
        ("s3", {"endpoint": "http://hush"}),
        ("gs", {"access_key_id": "hush"}),
        ("az", {"service_account_key": "hush"}),
    ],
)
def test_a_secret_that_is_not_the_stores_is_said(scheme: str, values: dict[str, str]):
    """Rather than asking a metadata server for another."""
    with pytest.raises(SecretError, match=r"^secret without a key that is known$"):
        credentials(scheme, values)


def test_keys_are_known_by_the_names_of_environment_variables_too():
    """As many Secrets are made; what else is in it is left alone."""
    values = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "allow_http": "true"}
    assert credentials("s3", values) == {"access_key_id": "a", "secret_access_key": "b"}
    assert credentials("s3", {"ca.crt": "x"}) == {}
    assert credentials("az", {"azure_account_key": "k"}) == {"account_key": "k"}


async def test_settings_that_are_not_understood_tell_no_secret(tmp_path: Path):
    """Half a key; a certificate that is none."""
    write_secret(tmp_path / "secret", access_key_id="hush")
    half = await sink(tmp_path, "s3://b").send(entries([record(1)]))
    write_secret(tmp_path / "secret", service_account_key="hush", ca__crt="hush")
    other = await sink(tmp_path, "gs://b").send(entries([record(1)]))
    for delivery in (half, other):
        assert delivery.outcome is Outcome.LATER
        assert delivery.why.startswith("failed (")
        assert "hush" not in delivery.why


@pytest.mark.parametrize(
    "url", ["https://b/x", "s3://", "s3:///x", "file://host/x", "s3://b?x=1", "memory:///", "b"]
)
def test_urls_of_other_kinds_are_no_settings(url: str):
    """The contract says so before a sink is made."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "objectStore", "name": "s", "url": url}, ObjectStoreSinkSettings)


def test_the_page_lists_the_keys_of_each_store():
    """No more, and no fewer: those are what somebody types."""
    page = (Path(__file__).parents[2] / "docs/sinks.md").read_text()
    rows = re.findall(r"^\| `(s3|gs|az)` \| (.+?) \|", page, re.MULTILINE)
    listed = {(scheme, key) for scheme, keys in rows for key in re.findall("`(.+?)`", keys)}
    assert listed == {(scheme, key) for scheme, (_, keys) in KEYS.items() for key in keys}
