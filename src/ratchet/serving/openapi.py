"""What the service can be asked, as OpenAPI 3.1, and a page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ratchet.serving.request import INT64
from ratchet.serving.settings import Settings

_ANNOTATIONS = ("private",)  # ours, and no keyword of JSON Schema

_REFUSALS = {
    "400": "The body is not JSON",
    "401": "The token is missing or wrong",
    "408": "The body took too long",
    "413": "The body is too large",
    "415": "The body is not said to be JSON, or is compressed",
    "422": "A row is not as the schema wants it; names the field, the rule and the value",
}


def describe(schema: Mapping[str, Any], manifest: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The OpenAPI description of a service.

    Args:
        schema: JSON Schema of one raw row.
        manifest: Of the bundle.
        settings: Limits, and whether a token is asked for.
    """
    is_binary = manifest["task"] == "binary"
    refusals = _refusals(with_token=bool(settings.token))
    security: list[dict[str, list[str]]] = [{"token": []}] if settings.token else []
    components: dict[str, Any] = {"schemas": _schemas(schema, settings, is_binary=is_binary)}
    if settings.token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}

    def posts(summary: str, asks: str, answers: str, example: Any) -> dict[str, Any]:
        asked = {"schema": _ref(asks), "example": example}
        return {
            "post": {
                "summary": summary,
                "operationId": asks.lower(),
                "tags": ["predictions"],
                "security": security,
                "parameters": [_REQUEST_ID],
                "requestBody": {"required": True, "content": {"application/json": asked}},
                "responses": {"200": _answer("The answer", answers, with_id=True)} | refusals,
            }
        }

    row = example(schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{manifest['problem']}: {manifest['target']}",
            "version": settings.release or "unreleased",
            "description": f"Predicts `{manifest['target']}` ({manifest['task']}). Numbers must be finite, text is no "
            "number, and a field is given at most once. What may be null may be left out.",
        },
        "paths": {
            "/predict": posts("Score one row", "Row", "Prediction", row),
            "/predict_batch": posts("Score many rows, all or none", "Batch", "Predictions", {"rows": [row]}),
            "/info": {"get": _gets("What is served, and where it comes from", "Info")},
            "/livez": {"get": _text("Whether the process lives")},
            "/readyz": {"get": _text("Whether it wants requests", unready=True)},
            "/metrics": {"get": _text("Metrics for Prometheus")},
        },
        "components": components,
    }


def example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A row made of the examples of its columns; those without one are left out where they may be."""
    rows = {}
    for name, values in schema["properties"].items():
        if "examples" in values:
            rows[name] = values["examples"][0]
        elif "enum" in values:
            rows[name] = values["enum"][0]
    return rows


def page() -> bytes | None:
    """Swagger UI, of the files that BentoML ships, in one page that needs no network; None when they are not there."""
    found = find_spec("bentoml")
    folder = Path(found.origin or "").parent / "_internal" / "server" / "static_content" if found else Path()
    script, style = folder / "swagger-ui-bundle.js", folder / "swagger-ui.css"
    if not (script.is_file() and style.is_file()):
        return None
    code = script.read_bytes().replace(b"</script", b"<\\/script")
    return b"".join((_PAGE[0], style.read_bytes(), _PAGE[1], code, _PAGE[2]))


_PAGE = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>API</title>'
    b'<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>',
    b'</style></head><body><div id="page"></div><script>',
    b'</script><script>SwaggerUIBundle({url: "openapi.json", dom_id: "#page", validatorUrl: null,'
    b" tryItOutEnabled: true})</script></body></html>\n",
)

_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Becomes the id of the answer when it is at most 64 letters, digits or `._:-`; else we make one",
    "schema": {"type": "string"},
}


def _schemas(schema: Mapping[str, Any], settings: Settings, *, is_binary: bool) -> dict[str, Any]:
    decision: dict[str, Any] = {"type": "boolean", "description": "Whether the score reaches the model's threshold"}
    score: dict[str, Any] = {"type": "number", "description": "The prediction"}
    if is_binary:
        score = {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability of the label 1"}
    else:
        decision = {"type": "null", "description": "A regression decides nothing"}
    one = {"id": {"type": "string"}, "score": score, "decision": decision}
    model = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Digest of the model"}
    text = {"type": ["string", "null"]}
    detail = _object({"field": {"type": "string"}, "rule": {"type": "string"}}, value={"type": "string"})
    return {
        "Row": _row(schema),
        "Batch": _object({"rows": _list("Row") | {"minItems": 1, "maxItems": settings.max_rows}}),
        "Prediction": _object(one | {"model": model}),
        "Item": _object(one),
        "Predictions": _object({"model": model, "predictions": _list("Item")}),
        "Error": _object({"error": {"type": "string"}, "details": {"type": "array", "items": detail}}),
        "Info": _object(
            {"model": model, "problem": {"type": "string"}, "task": {"enum": ["binary", "regression"]}}
            | {"threshold": {"type": ["number", "null"]}, "trained_on": {"type": "array", "items": {"type": "string"}}}
            | dict.fromkeys(("release", "commit", "record", "verdict_url", "source", "bento"), text)
        ),
    }


def _row(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The row schema as it is enforced: integers have 64 bits."""
    properties = {}
    for name, values in schema["properties"].items():
        kept = {key: value for key, value in values.items() if key not in _ANNOTATIONS}
        if "integer" in values["type"]:
            limits = {}
            if not {"minimum", "exclusiveMinimum"} & kept.keys():
                limits["minimum"] = INT64[0]
            if not {"maximum", "exclusiveMaximum"} & kept.keys():
                limits["maximum"] = INT64[1]
            kept |= limits
        properties[name] = kept
    return {key: value for key, value in schema.items() if key != "$schema"} | {"properties": properties}


def _object(properties: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(of: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(of)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _refusals(*, with_token: bool) -> dict[str, Any]:
    told = {code: text for code, text in _REFUSALS.items() if code != "401" or with_token}
    return {code: _answer(text, "Error") for code, text in told.items()}


def _answer(text: str, schema: str, *, with_id: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
    if with_id:
        answer["headers"] = {"X-Request-Id": {"schema": {"type": "string"}}}
    return answer


def _gets(summary: str, answers: str) -> dict[str, Any]:
    return {"summary": summary, "tags": ["service"], "responses": {"200": _answer(summary, answers)}}


def _text(summary: str, *, unready: bool = False) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "200": {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    if unready:
        responses["503"] = _answer("It is about to end", "Error")
    return {"summary": summary, "tags": ["service"], "responses": responses}
