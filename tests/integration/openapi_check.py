"""Whether an exchange is one that sdk/openapi.yaml describes.

    document = OpenAPI()
    document.check(method, path, request_body, response)

For OpenAPI 3.0 as far as that document uses it. Of a body that is a sequence
(lines, events) each whole item is checked, with "x-itemSchema".
"""

import json
import pathlib
import re
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import yaml

FILE = pathlib.Path(__file__).parents[2] / "sdk" / "openapi.yaml"
# Of what is cut off nothing can be said.
WHOLE = {"application/json", "application/problem+json"}
# Every reply has them, whatever it is about.
COMMON_HEADERS = {
    "connection", "content-length", "date", "keep-alive", "server",
    "transfer-encoding"}


def plain(schema):
    """OpenAPI 3.0 as JSON Schema: "nullable" is another type."""
    if isinstance(schema, list):
        return [plain(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {k: plain(v) for k, v in schema.items()}
    if schema.pop("nullable", False):
        schema["type"] = [schema["type"], "null"]
    return schema


def lines_of(text):
    """The whole lines that say something."""
    return [line for line in text.rpartition("\n")[0].split("\n") if line]


def events_of(text):
    """Of server-sent events the whole ones: (event, id, data)."""
    events = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(
            line.partition(": ")[::2] for line in block.split("\n")
            if line and not line.startswith(":"))
        if fields:
            events.append((fields["event"], fields.get("id"),
                           json.loads(fields["data"])))
    return events


class OpenAPI:
    def __init__(self):
        self.document = plain(yaml.safe_load(FILE.read_text()))

    def _resolve(self, node):
        while "$ref" in node:
            found = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            node = found
        return node

    def _validate(self, value, schema):
        jsonschema.Draft4Validator(
            schema, resolver=jsonschema.RefResolver("", self.document),
        ).validate(value)

    # --- finding

    def _find(self, path):
        """The path item and its parameters' values; None when there is
        none."""
        for template, item in self.document["paths"].items():
            names = re.findall(r"{(\w+)}", template)
            pattern = re.sub(r"{\w+}", "([^/]+)", template)
            if found := re.fullmatch(pattern, path):
                values = map(unquote, found.groups())
                return item, dict(zip(names, values))
        return None

    def operations(self):
        return {
            operation["operationId"]
            for item in self.document["paths"].values()
            for method, operation in item.items() if method != "parameters"}

    def operation_id(self, method, target):
        """None when there is no such operation."""
        found = self._find(urlsplit(target).path)
        operation = found and found[0].get(method.lower())
        return operation and operation["operationId"]

    # --- checking

    def check(self, method, target, headers, body, response):
        """response: of requests. A request that succeeds has to be as it is
        described, too; where body is None nobody knows it."""
        url = urlsplit(target)
        found = self._find(url.path)
        if not found or method.lower() not in found[0]:
            assert response.status_code == (405 if found else 404)
            self._check_body(response, self.document["components"][
                "responses"]["Problem"]["content"])
            return
        item, values = found
        operation = item[method.lower()]
        self._check_response(operation, response)
        if response.status_code < 300:
            values |= {k: v[0] for k, v in parse_qs(
                url.query, keep_blank_values=True).items()}
            values |= {k.lower(): v for k, v in headers.items()}
            self._check_parameters(item, operation, values)
            if body is not None:
                self._check_request(
                    operation, values.get("content-type"), body)

    def _check_parameters(self, item, operation, values):
        for parameter in map(self._resolve, [
                *item.get("parameters", ()),
                *operation.get("parameters", ())]):
            name = parameter["name"]
            if parameter["in"] == "header":
                name = name.lower()
            if name in values:
                self._check_text(values[name], parameter["schema"])
            else:
                assert not parameter.get("required"), name

    def _check_text(self, text, schema):
        """Of a header or a parameter."""
        if schema.get("type") == "integer":
            text = int(text)
        self._validate(text, schema)

    def _check_request(self, operation, media_type, body):
        if "requestBody" not in operation:
            assert not body, f"{operation['operationId']} takes no body"
            return
        described = self._resolve(operation["requestBody"])
        if body:
            content = described["content"]
            media_type = media_type or next(iter(content))
            self._check_content(content, media_type, body.decode())
        else:
            assert not described.get("required"), operation

    def _check_content(self, content, media_type, text):
        media_type = media_type.partition(";")[0]
        assert media_type in content, f"{media_type} is not described"
        media = content[media_type]
        items = []
        if media_type == "application/x-ndjson":
            items = map(json.loads, lines_of(text))
        elif media_type == "text/event-stream":
            items = [self._event(*event) for event in events_of(text)]
        elif media_type.endswith("json"):
            text = json.loads(text)
        self._validate(text, media["schema"])
        for item in items:
            self._validate(item, media["x-itemSchema"])

    def _event(self, kind, id, data):
        """The event's data."""
        if kind in ("disconnected", "connected"):
            assert id is None
        else:
            assert kind in ("snapshot", "change", "delete", "reset")
            assert id == str(data["version"])
            assert kind != "delete" or data["deleted"]
        return data

    def _check_response(self, operation, response):
        responses = operation["responses"]
        status = str(response.status_code)
        if response.status_code < 300:
            assert status in responses, f"{status} is not described"
        described = self._resolve(
            responses.get(status) or responses["default"])
        self._check_headers(described.get("headers", {}), response.headers)
        self._check_body(response, described.get("content"))

    def _check_headers(self, described, headers):
        known = {name.lower() for name in described}
        got = {name.lower() for name in headers}
        extra = got - known - COMMON_HEADERS - {"content-type"}
        assert not extra, f"not described: {extra}"
        for name, header in described.items():
            header = self._resolve(header)
            if name not in headers:
                assert not header.get("required"), f"{name} is missing"
                continue
            self._check_text(headers[name], header["schema"])

    def _check_body(self, response, content):
        if not content:
            assert not response.content, "a body is not described"
            return
        media_type = response.headers["content-type"]
        if getattr(response, "broken", False) and media_type in WHOLE:
            return
        self._check_content(content, media_type, response.text)
