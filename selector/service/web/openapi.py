"""The description of the API, for programs that make clients of it (OpenAPI 3.1)."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from selector.service.web.names import STUDY

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The study's name.",
    "schema": {"type": "string", "pattern": f"^{STUDY}$"},
}
_TEXT = {"type": "string"}
_NUMBER = {"type": ["number", "null"]}
_COUNT = {"type": ["integer", "null"]}


def document() -> dict[str, Any]:
    """The whole description as plain JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "selector",
            "version": importlib.metadata.version("selector-finetune"),
            "description": "Studies of one store: submit, watch, stop, fetch.",
        },
        "paths": {
            "/api/studies": {
                "get": _reads("list", "All studies.", _array("Summary")),
                "post": _submit(),
            },
            "/api/studies/{name}": {
                "parameters": [_NAME],
                "get": _reads("status", "What a study is doing.", _ref("Status")),
            },
            "/api/studies/{name}/leaderboard": {
                "parameters": [_NAME],
                "get": {
                    **_reads("leaderboard", "The candidates in rank order.", _ref("Leaderboard")),
                    "parameters": [
                        {
                            "name": "metric",
                            "in": "query",
                            "description": "Rank by another stored metric.",
                            "schema": _TEXT,
                        }
                    ],
                },
            },
            "/api/studies/{name}/stop": {
                "parameters": [_NAME],
                "post": _stop(),
            },
            "/api/champions": {
                "get": _reads("champions", "What is shipped now.", _array("Champion")),
            },
            "/api/schedules": {
                "get": _reads("schedules", "When studies are due next.", _ref("Schedules")),
            },
            "/api/bundles/{number}": {"get": _bundle()},
            "/health": {"get": _health()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "What went wrong (RFC 9457).",
                    "content": {"application/problem+json": {"schema": _ref("Problem")}},
                }
            },
        },
    }


def _reads(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{}, {"token": []}],
        "responses": _answers("200", summary, schema),
    }


def _writes(name: str, summary: str, code: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"token": []}],
        "responses": _answers(code, summary, schema),
    }


def _answers(code: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {
        code: {"description": summary, "content": content},
        "default": {"$ref": "#/components/responses/Problem"},
    }


def _submit() -> dict[str, Any]:
    summary = "Register a study file; workers that serve the store take its trials."
    written = _writes("submit", summary, "201", _ref("Submission"))
    content = {"application/json": {"schema": _ref("Submission")}}
    written["responses"]["200"] = {"description": "A known study goes on.", "content": content}
    study_file = {"application/yaml": {"schema": _TEXT}}
    return {**written, "requestBody": {"required": True, "content": study_file}}


def _stop() -> dict[str, Any]:
    written = _writes("stop", "Ask all workers of a study to stop.", "202", _state())
    content = {"application/json": {"schema": _state()}}
    written["responses"]["200"] = {"description": "It has finished.", "content": content}
    return written


def _health() -> dict[str, Any]:
    return {
        **_reads("health", "Whether the server answers.", _object({"status": _TEXT})),
        "security": [{}],
    }


def _metrics() -> dict[str, Any]:
    read = _reads("metrics", "What the store knows of its studies, for Prometheus.", {})
    read["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return read


def _bundle() -> dict[str, Any]:
    number = {
        "name": "number",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
    read = _reads("bundle", "An export, as a zip file.", {})
    read["responses"]["200"]["content"] = {"application/zip": {}}
    return {**read, "parameters": [number]}


def _schemas() -> dict[str, Any]:
    counts = {name: {"type": "integer"} for name in ("complete", "pruned", "failed", "running")}
    best = {"trial": _COUNT, "backbone": {"type": ["string", "null"]}, "score": _NUMBER}
    summary = {
        "study": _TEXT,
        "state": {
            "enum": ["stopped", "running", "waiting", "finished", "interrupted", "failed"],
        },
        "metric": _object({"name": _TEXT, "goal": {"enum": ["maximize", "minimize"]}}),
        "best": _object(best),
        "trials": _object(counts),
        "trials_left": _COUNT,
        "created_at": {"type": "string", "format": "date-time"},
    }
    live = {
        "trial": {"type": "integer"},
        "final": {"type": "boolean"},
        "backbone": _TEXT,
        "params": {"type": "object"},
        "epoch": _COUNT,
        "score": _NUMBER,
        "heard": {"type": "boolean"},
    }
    bundle = {
        "id": {"type": "integer"},
        "trial": {"type": "integer"},
        "format": _TEXT,
        "bytes": {"type": "integer"},
        "made_at": {"type": "string", "format": "date-time"},
    }
    lists = {
        "live": {"type": "array", "items": _object(live)},
        "bundles": {"type": "array", "items": _object(bundle)},
    }
    submission = {
        "study": _TEXT,
        "created": {"type": "boolean"},
        "state": _TEXT,
        "wider": {"type": "array", "items": _TEXT},
        "data": {"type": "object"},
        "left_out": {"type": "array", "items": _TEXT},
    }
    problem = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT}
    several = {"problems": {"type": "array", "items": _TEXT}}
    board = {
        "study": _TEXT,
        "metric": {"type": "object"},
        "data": {"type": "object"},
        "candidates": {"type": "array", "items": {"type": "object"}},
        "trials": _object(counts),
    }
    champion = {
        "name": _TEXT,
        "champion": {"type": "object"},
        "since": {"type": "object"},
        "latest": {"type": "object"},
    }
    schedules = {
        "schedules": {"type": "array", "items": {"type": "object"}},
        "firings": {"type": "array", "items": {"type": "object"}},
    }
    return {
        "Champion": _object(champion),
        "Schedules": _object(schedules),
        "Summary": _object(summary),
        "Status": _object({**summary, **lists}),
        "Submission": _object(submission),
        "Leaderboard": _object(board),
        "Problem": {**_object(problem), "properties": {**problem, **several}},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _state() -> dict[str, Any]:
    return _object({"study": _TEXT, "state": _TEXT})
