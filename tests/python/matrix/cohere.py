"""The Cohere SDK."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import cohere
import httpx
from cohere.core import ApiError

from .client import (
    KEY,
    THINKING_BUDGET,
    TIMEOUT,
    URL,
    Answer,
    Broken,
    Call,
    Client,
    Expected,
    Failure,
    Request,
    Usage,
    Whole,
    finish,
)
from .openai_chat import data_url

FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "calls",
    # The only word it has for an answer that was filtered; one that failed comes with the error.
    "ERROR": "refusal",
    "ERROR_TOXIC": "refusal",
}

# The SDK retries by itself unless it is told not to.
ONCE = {"max_retries": 0, "timeout_in_seconds": TIMEOUT}


class Cohere(Client):
    """Chat, second version."""

    unsupported: ClassVar[dict[str, str]] = {
        "pdf": "the protocol has no place for a file",
        "choice_named": "the protocol cannot name the tool to call",
        "choice_auto": "the protocol says it by saying nothing",
    }
    raised = (ApiError, httpx.HTTPError, Broken)
    errors: ClassVar[dict[str, Expected]] = {
        "invalid": Expected(cohere.BadRequestError, [400]),
        "key": Expected(cohere.UnauthorizedError, [401]),
        "permission": Expected(cohere.ForbiddenError, [403]),
        "missing": Expected(cohere.NotFoundError, [404]),
        "rate": Expected(cohere.TooManyRequestsError, [429]),
        "server": Expected(cohere.InternalServerError, [500]),
        "overloaded": Expected(cohere.ServiceUnavailableError, [503]),
        "overflow": Expected(cohere.BadRequestError, [400], says="too many tokens"),
    }

    def __init__(self) -> None:
        self._client = cohere.ClientV2(api_key=KEY, base_url=URL)

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        assert pdf is None
        words = {"type": "text", "text": text}
        if image is None:
            return [{"role": "user", "content": text}]
        picture = {"type": "image_url", "image_url": {"url": data_url("image/png", image)}}
        return [{"role": "user", "content": [picture, words]}]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results]

    def ask(self, request: Request) -> Answer:
        system = [{"role": "system", "content": request.system}] if request.system else []
        options: dict[str, Any] = {
            "model": request.model,
            "messages": [*system, *request.turns],
            "max_tokens": request.limit,
            "request_options": ONCE,
        }
        if request.tools:
            options["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
                }
                for tool in request.tools
            ]
        if request.choice:
            options["tool_choice"] = request.choice.upper()
        if request.schema:
            options["response_format"] = {"type": "json_object", "json_schema": request.schema}
        if request.thinking:
            options["thinking"] = {"type": "enabled", "token_budget": THINKING_BUDGET}
        if request.stop:
            options["stop_sequences"] = list(request.stop)
        if request.stream:
            return read(*gather(self._client.chat_stream(**options)))
        answer = self._client.chat(**options)
        return read(answer.message, answer.finish_reason, answer.usage)

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, ApiError)
        message = error.body.get("message", "") if isinstance(error.body, dict) else str(error.body)
        return Failure(error.status_code or 0, None, message, dict(error.headers or {}))


def gather(events: Any) -> tuple[cohere.AssistantMessageResponse, str | None, cohere.Usage | None]:
    """Puts a message together from its stream; the SDK has no helper for it."""
    whole = Whole()
    calls: dict[int, dict[str, Any]] = {}
    plan = ""
    for event in events:
        message = getattr(event.delta, "message", None) if hasattr(event, "delta") else None
        match event.type:
            case "content-start":
                kind = message.content.type
                said = getattr(message.content, kind, None) or ""
                whole.blocks[event.index] = {"type": kind, kind: said}
            case "content-delta":
                block = whole.blocks[event.index]
                block[block["type"]] += getattr(message.content, block["type"]) or ""
            case "tool-plan-delta":
                plan += message.tool_plan or ""
            case "tool-call-start":
                calls[event.index] = message.tool_calls.model_dump()
            case "tool-call-delta":
                calls[event.index]["function"]["arguments"] += message.tool_calls.function.arguments or ""
            case "message-end":
                if event.delta.error:
                    raise Broken(event.delta.error)
                whole.finish, whole.usage = event.delta.finish_reason, event.delta.usage
    content = [block for _, block in sorted(whole.blocks.items())]
    message = cohere.AssistantMessageResponse.model_validate(
        {
            "role": "assistant",
            "content": content or None,
            "tool_calls": [call for _, call in sorted(calls.items())] or None,
            "tool_plan": plan or None,
        }
    )
    return message, whole.finish, whole.usage


def read(message: cohere.AssistantMessageResponse, reason: str | None, usage: cohere.Usage | None) -> Answer:
    """Reads a message, and keeps it as the turn."""
    why = finish(FINISH, reason)
    assert usage is not None and usage.tokens is not None, "no usage"
    blocks = message.content or []
    calls = message.tool_calls or []
    cached = usage.cached_tokens
    return Answer(
        text="".join(block.text for block in blocks if block.type == "text"),
        reasoning="".join(block.thinking for block in blocks if block.type == "thinking"),
        calls=[Call(call.id, call.function.name, json.loads(call.function.arguments or "{}")) for call in calls],
        finish=why,
        usage=Usage(
            int(usage.tokens.input_tokens or 0),
            int(usage.tokens.output_tokens or 0),
            None if cached is None else int(cached),
        ),
        turn=[message] if blocks or calls else [],
        plain=[{"role": "assistant", "tool_plan": message.tool_plan, "tool_calls": message.tool_calls}],
    )
