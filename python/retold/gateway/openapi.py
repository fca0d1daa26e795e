"""What the gateway takes and answers, as an OpenAPI document: for people, for programs, and for the test that fuzzes.

It says what holds whatever the upstream is. What a request may hold beyond that is the upstream's to say: where nothing
has to be read, a body passes through unread.
"""

from typing import Any, Final

DOCUMENT: Final = "/openapi.json"

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_NAME: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_OBJECTS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
_FLAG: Final[dict[str, Any]] = {"type": "boolean"}
_ROLES: Final = ("system", "developer", "user", "assistant")
_ABOUT: Final = (
    "An agent's provider as seen from outside, which compacts by itself. The client's own key passes through. "
    "Every other path below /v1 passes through to the upstream; an upstream's error keeps its status and comes "
    "in the shape of the path that was asked."
)


def document() -> dict[str, Any]:
    """Return the document, as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Retold gateway", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/v1"}, {"url": "/"}],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": {
            "/responses": {"post": _operation("create_response", "Response", error="Error")},
            "/responses/compact": {"post": _operation("compact", "Compaction", error="Error", is_streamed=False)},
            "/chat/completions": {"post": _operation("create_chat_completion", "ChatCompletion", error="Error")},
            "/messages": {"post": _operation("create_message", "Message", error="MessagesError")},
            "/models": {"get": _listing()},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "headers": {
                "RequestId": {"description": "The upstream's, or ours.", "required": True, "schema": _NAME},
                "RetryAfter": {"description": "Seconds.", "schema": _COUNT},
            },
            "parameters": {
                "Session": {
                    "name": "x-retold-session",
                    "in": "header",
                    "description": "Binds a summary to this session, and names the session that turns are recorded to.",
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_=-]{1,128}$"},
                }
            },
            "schemas": {**_asked(), **_items(), **_answered()},
        },
    }


def _operation(name: str, kind: str, *, error: str, is_streamed: bool = True) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _ref(kind)}}
    if is_streamed:
        content["text/event-stream"] = {"schema": _ref("Event")}
    return {
        "operationId": name,
        "parameters": [{"$ref": "#/components/parameters/Session"}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(f"{kind}Request")}}},
        "responses": {"200": _answer("The answer.", content), **_refusals(error)},
    }


def _listing() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "list_models",
        "responses": {"200": _answer("As the upstream.", content), **_refusals("Error")},
    }


def _refusals(error: str) -> dict[str, Any]:
    told = {
        "400": "No request of this form, or a compaction that does not open here.",
        "405": "Another method.",
        "408": "The request did not come in time.",
        "413": "The body is too large.",
        "429": "Too many requests at once: see Retry-After. Or as the upstream.",
        "502": "The upstream cannot be reached, broke off, or answered with something that is no answer.",
        "503": "Something is away for now: see Retry-After. Or as the upstream.",
        "504": "The upstream did not answer in time.",
        "4XX": "As the upstream.",
        "5XX": "As the upstream.",
    }
    content = {"application/json": {"schema": _ref(error)}}
    return {status: _answer(text, content) for status, text in told.items()}


def _answer(text: str, content: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-request-id": _ref("RequestId", "headers"), "retry-after": _ref("RetryAfter", "headers")}
    return {"description": text, "headers": headers, "content": content}


def _ref(name: str, kind: str = "schemas") -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _asked() -> dict[str, Any]:
    return {
        "ResponseRequest": _object(
            {"model": _NAME},
            {"input": _ref("Input"), "instructions": _nullable(_TEXT), "stream": _nullable(_FLAG), "tools": _OBJECTS},
        ),
        "CompactionRequest": _object(
            {"model": _NAME},
            {"input": _ref("Input"), "instructions": _nullable(_TEXT), "previous_response_id": {"type": "null"}},
        ),
        "ChatCompletionRequest": _object(
            {"model": _NAME, "messages": _messages("system", "developer", "user")}, {"stream": _FLAG, "tools": _OBJECTS}
        ),
        "MessageRequest": _object(
            {
                "model": _NAME,
                "messages": _messages("user", "assistant"),
                "max_tokens": {"type": "integer", "minimum": 1},
            },
            {"stream": _FLAG, "system": _TEXT},
        ),
    }


def _items() -> dict[str, Any]:
    return {
        "Input": {"anyOf": [_TEXT, {"type": "array", "items": {"anyOf": [_ref("InputMessage"), _ref("InputItem")]}}]},
        "InputMessage": _object(
            {"role": {"enum": list(_ROLES)}, "content": {"anyOf": [_TEXT, {"type": "array", "items": _ref("Part")}]}},
            {"type": {"const": "message"}},
        ),
        "InputItem": {
            "anyOf": [
                _object({"type": {"const": "function_call"}, "call_id": _NAME, "name": _NAME, "arguments": _TEXT}),
                _object({"type": {"const": "function_call_output"}, "call_id": _NAME, "output": _TEXT}),
                _object({"type": {"const": "reasoning"}}, {"summary": _OBJECTS, "encrypted_content": _TEXT}),
                _object({"type": {"const": "compaction"}, "encrypted_content": _TEXT}, {"id": _TEXT}),
                _object({"type": {"const": "compaction_trigger"}}),
            ]
        },
        "Part": _object({"type": {"enum": ["input_text", "output_text"]}, "text": _TEXT}),
    }


def _answered() -> dict[str, Any]:
    return {
        "Response": _object(
            {"id": _NAME, "object": {"const": "response"}, "output": _OBJECTS, "status": _NAME, "model": _TEXT},
            {"usage": {"anyOf": [_usage("input", "output"), {"type": "null"}]}},
        ),
        "Compaction": _object(
            {
                "id": _NAME,
                "object": {"const": "response.compaction"},
                "created_at": _COUNT,
                "output": {**_OBJECTS, "minItems": 1},
                "usage": _usage("input", "output"),
            }
        ),
        "ChatCompletion": _object(
            {"id": _NAME, "object": {"const": "chat.completion"}, "choices": _OBJECTS, "model": _TEXT},
            {"usage": _usage("prompt", "completion")},
        ),
        "Message": _object(
            {"id": _NAME, "type": {"const": "message"}, "role": {"const": "assistant"}, "content": _OBJECTS},
            {"model": _TEXT, "stop_reason": _nullable(_TEXT), "usage": {"type": "object"}},
        ),
        "Event": _object({"data": _TEXT}, {"event": _TEXT}),
        "Error": _object({"error": _object({"message": _NAME, "type": _NAME, "param": {}, "code": _nullable(_TEXT)})}),
        "MessagesError": _object(
            {"type": {"const": "error"}, "error": _object({"type": _NAME, "message": _NAME})}, {"request_id": _NAME}
        ),
    }


def _messages(*roles: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": _object({"role": {"enum": list(roles)}, "content": _TEXT})}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _usage(given: str, made: str) -> dict[str, Any]:
    return _object({f"{given}_tokens": _COUNT, f"{made}_tokens": _COUNT, "total_tokens": _COUNT})
