"""What crosses NATS is as the schema says, which the service serves."""

from __future__ import annotations

import json
from typing import Any

import hourlog
import jsonschema
import pytest
import yaml
from test_client import NOON, run

# A request to each endpoint, with the subject after the prefix. {log} is a log with events.
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("replay", "replay.{log}", {"from": "first", "limit": 2, "reverse": False, "text": "a"}),
    ("replay", "replay.{log}", {"order": "arrival", "limit": 1}),
    ("merge", "merge.test", {"limit": 3, "where": 'log != "x"'}),
    ("merge-all", "merge", {"limit": 1, "reverse": True}),
    ("describe", "describe.{log}", {}),
    ("near", "near.{log}", {"at": "2018-02-04T12:00:00Z"}),
    ("timeline", "timeline.{log}", {"bins": 3, "by": "metadata.kind"}),
    ("timelines", "timelines.test", {"step": "1d", "zone": "Europe/Oslo"}),
    ("timelines-all", "timelines", {"bins": 1}),
    ("logs", "logs", {"sort": "events", "strip": {"from": "-1h", "to": "now", "bins": 4}}),
    ("logs", "logs", {"logs": ["{log}", "nowhere"]}),
    ("newest", "newest.test", {"limit": 2}),
    ("newest-all", "newest", {}),
    ("status", "status", {}),
    ("cursor-set", "cursor.set.{log}", {"name": "mailer", "cursor": "a:0-1"}),
    ("cursor-get", "cursor.get.{log}", {"name": "mailer"}),
    ("cursor-list", "cursor.list.{log}", {}),
    ("cursor-delete", "cursor.delete.{log}", {"name": "mailer"}),
    ("admin-create", "admin.create.{log}x", {"width": "1m", "retention": "7d"}),
    ("admin-alter", "admin.alter.{log}x", {"retention": "forever"}),
    ("admin-purge", "admin.purge.{log}", {"before": "2018-02-05T00:00:00Z", "dry_run": True}),
    ("admin-delete", "admin.delete.{log}x", {}),
]


async def file(client: hourlog.Client, name: str) -> str:
    reply = await client.connection.request("hourlog.schema", json.dumps({"file": name}).encode())
    return reply.data.decode()


def test_every_request_and_reply_is_as_the_schema_says(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        schema = json.loads(await file(client, "hourlog.schema.json"))
        asyncapi = yaml.safe_load(await file(client, "asyncapi.yaml"))

        def check(value: Any, reference: str) -> None:
            name = reference.removeprefix("hourlog.schema.json#/$defs/")
            jsonschema.validate(value, {**schema, "$ref": f"#/$defs/{name}"})

        for kind in ("paid", "sent"):
            await client.append(log, '{"a":1}', {"kind": kind}, time=NOON)
        reply = await client.connection.request(f"hourlog.append.{log}", b"any bytes")
        check(json.loads(reply.data), "AppendReply")
        checked = {name for name, _, _ in REQUESTS} | {"append"}
        # These need messages that were counted, or rejected.
        served = {name for name in asyncapi["operations"]} - {"publish", "schema", "receipt", "admin-requeue"}
        assert checked == served
        for name, subject, request in REQUESTS:
            text = json.dumps(request).replace("{log}", log)
            reply = await client.connection.request(f"hourlog.{subject}".replace("{log}", log), text.encode())
            assert "Nats-Service-Error" not in (reply.headers or {}), (name, reply.headers)
            check(json.loads(text), asyncapi["channels"][name]["messages"]["request"]["payload"]["$ref"])
            check(json.loads(reply.data), asyncapi["channels"][f"{name}-reply"]["messages"]["reply"]["payload"]["$ref"])
        with pytest.raises(jsonschema.ValidationError):
            check({"form": "first"}, "ReplayRequest")

    run(url, test)


def test_the_asyncapi_document_names_every_endpoint_and_nothing_else(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        asyncapi = yaml.safe_load(await file(client, "asyncapi.yaml"))
        info = json.loads((await client.connection.request("$SRV.INFO.hourlog", b"")).data)
        served = {endpoint["name"]: endpoint["subject"] for endpoint in info["endpoints"]}
        described = {
            name: channel["address"]
            for name, channel in asyncapi["channels"].items()
            if channel["address"] and name != "publish"
        }
        wildcards = {"{log}": ">", "{prefix}": ">", "{token}": ">"}
        for name, address in described.items():
            for parameter, wildcard in wildcards.items():
                address = address.replace(parameter, wildcard)
            described[name] = address
        assert described == served
        assert set(asyncapi["operations"]) == set(served) | {"publish"}
        # Every reference within the document leads somewhere.
        for reference in references(asyncapi):
            if reference.startswith("#/"):
                place: Any = asyncapi
                for part in reference[2:].split("/"):
                    place = place[part]

    run(url, test)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [reference for inner in value.values() for reference in references(inner)]
    return [reference for inner in value for reference in references(inner)] if isinstance(value, list) else []
