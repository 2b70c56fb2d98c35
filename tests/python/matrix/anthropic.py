"""The Anthropic SDK."""

import base64
from collections.abc import Sequence
from typing import Any, ClassVar

import anthropic
import httpx2
from anthropic.types import Message

from .client import (
    KEY,
    THINKING_BUDGET,
    TIMEOUT,
    URL,
    Answer,
    Call,
    Client,
    Expected,
    Failure,
    Request,
    Usage,
    finish,
)

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "sequence",
    "max_tokens": "length",
    "tool_use": "calls",
    "refusal": "refusal",
}


class Anthropic(Client):
    """Messages."""

    raised = (anthropic.APIError, httpx2.HTTPError)
    errors: ClassVar[dict[str, Expected]] = {
        "invalid": Expected(anthropic.BadRequestError, [400], "invalid_request_error"),
        "key": Expected(anthropic.AuthenticationError, [401], "authentication_error"),
        "permission": Expected(anthropic.PermissionDeniedError, [403], "permission_error"),
        "missing": Expected(anthropic.NotFoundError, [404], "not_found_error"),
        "rate": Expected(anthropic.RateLimitError, [429], "rate_limit_error"),
        "server": Expected(anthropic.InternalServerError, [500], "api_error"),
        "overloaded": Expected(anthropic.OverloadedError, [529], "overloaded_error"),
        "overflow": Expected(anthropic.BadRequestError, [400], "invalid_request_error", "prompt is too long"),
    }

    def __init__(self) -> None:
        self._client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=TIMEOUT)

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        blocks = [
            {"type": kind, "source": {"type": "base64", "media_type": media, "data": base64.b64encode(data).decode()}}
            for kind, media, data in [("image", "image/png", image), ("document", "application/pdf", pdf)]
            if data
        ]
        content = [*blocks, {"type": "text", "text": text}] if blocks else text
        return [{"role": "user", "content": content}]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in results]
        return [{"role": "user", "content": blocks}]

    def ask(self, request: Request) -> Answer:
        options: dict[str, Any] = {
            "model": request.model,
            "messages": request.turns,
            "max_tokens": request.limit,
        }
        if request.system:
            options["system"] = request.system
        if request.tools:
            options["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
                for tool in request.tools
            ]
        if request.choice in ("auto", "none"):
            options["tool_choice"] = {"type": request.choice}
        elif request.choice == "required":
            options["tool_choice"] = {"type": "any"}
        elif request.choice:
            options["tool_choice"] = {"type": "tool", "name": request.choice}
        if request.schema:
            options["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        if request.thinking:
            options["thinking"] = {"type": "enabled", "budget_tokens": THINKING_BUDGET}
        if request.stop:
            options["stop_sequences"] = list(request.stop)
        if not request.stream:
            return read(self._client.messages.create(**options))
        kinds = []
        with self._client.messages.stream(**options) as events:
            for event in events:
                kinds.append(event.type)
            final = events.get_final_message()
        assert kinds[-1] == "message_stop", f"the stream ends with {kinds[-1]}"
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(final.content), kinds
        return read(final)

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, anthropic.APIStatusError)
        assert error.request_id, "no request id"
        return Failure(error.status_code, error.type, error.message, dict(error.response.headers))


def read(message: Message) -> Answer:
    """Reads a message, and keeps its blocks as the turn."""
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = getattr(usage, "output_tokens_details", None)
    return Answer(
        text="".join(block.text for block in message.content if block.type == "text"),
        reasoning="".join(block.thinking for block in message.content if block.type == "thinking"),
        calls=[Call(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
        finish=finish(FINISH, message.stop_reason),
        usage=Usage(
            usage.input_tokens + read + written,
            usage.output_tokens,
            read,
            written,
            details.thinking_tokens if details else None,
        ),
        turn=[{"role": "assistant", "content": message.content}] if message.content else [],
        plain=[{"role": "assistant", "content": [block.model_dump() for block in message.content]}],
    )
