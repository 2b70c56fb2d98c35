"""boto3, the client of Amazon Bedrock's Converse."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .client import (
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
    Whole,
    finish,
)

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "sequence",
    "max_tokens": "length",
    "tool_use": "calls",
    "content_filtered": "refusal",
    "guardrail_intervened": "refusal",
}


class Bedrock(Client):
    """Converse, signed."""

    unsupported: ClassVar[dict[str, str]] = {"choice_none": "the protocol cannot forbid the tools that it offers"}
    raised = (ClientError, BotoCoreError, urllib3.exceptions.HTTPError)
    # boto3 makes a class for each modelled error; the word tells them apart.
    errors: ClassVar[dict[str, Expected]] = {
        "invalid": Expected(ClientError, [400], "ValidationException"),
        "key": Expected(ClientError, [401, 403], "UnrecognizedClientException"),
        "permission": Expected(ClientError, [403], "AccessDeniedException"),
        "missing": Expected(ClientError, [404], "ResourceNotFoundException"),
        "rate": Expected(ClientError, [429], "ThrottlingException"),
        "server": Expected(ClientError, [500], "InternalServerException"),
        "overloaded": Expected(ClientError, [503], "ServiceUnavailableException"),
        "overflow": Expected(ClientError, [400], "ValidationException", "too long"),
    }

    def __init__(self) -> None:
        self._client = boto3.client(
            "bedrock-runtime",
            endpoint_url=URL,
            region_name="us-east-1",
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=TIMEOUT, read_timeout=TIMEOUT),
        )

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        blocks: list[dict[str, Any]] = []
        if image:
            blocks.append({"image": {"format": "png", "source": {"bytes": image}}})
        if pdf:
            blocks.append({"document": {"format": "pdf", "name": "paper", "source": {"bytes": pdf}}})
        return [{"role": "user", "content": [*blocks, {"text": text}]}]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        blocks = [{"toolResult": {"toolUseId": call.id, "content": [{"text": text}]}} for call, text in results]
        return [{"role": "user", "content": blocks}]

    def ask(self, request: Request) -> Answer:
        options: dict[str, Any] = {
            "modelId": request.model,
            "messages": request.turns,
            "inferenceConfig": {"maxTokens": request.limit},
        }
        if request.system:
            options["system"] = [{"text": request.system}]
        if request.tools:
            options["toolConfig"] = {
                "tools": [
                    {
                        "toolSpec": {
                            "name": tool.name,
                            "description": tool.description,
                            "inputSchema": {"json": tool.schema},
                        }
                    }
                    for tool in request.tools
                ]
            }
        if request.choice:
            choice = {"auto": {"auto": {}}, "required": {"any": {}}}
            options["toolConfig"]["toolChoice"] = choice.get(request.choice, {"tool": {"name": request.choice}})
        if request.schema:
            schema = {"name": "answer", "schema": json.dumps(request.schema)}
            options["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
        if request.thinking:
            thinking = {"type": "enabled", "budget_tokens": THINKING_BUDGET}
            options["additionalModelRequestFields"] = {"thinking": thinking}
        if request.stop:
            options["inferenceConfig"]["stopSequences"] = list(request.stop)
        if request.stream:
            return read(*gather(self._client.converse_stream(**options)["stream"]))
        answer = self._client.converse(**options)
        return read(answer["output"]["message"]["content"], answer["stopReason"], answer["usage"])

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, ClientError)
        # An exception inside a stream comes without the head of the answer, which was a good one.
        said, about = error.response["Error"], error.response.get("ResponseMetadata", {})
        return Failure(about.get("HTTPStatusCode", 200), said["Code"], said["Message"], about.get("HTTPHeaders", {}))


def gather(events: Any) -> tuple[list[dict[str, Any]], str | None, dict[str, Any]]:
    """Puts the blocks of a stream together; the SDK has no helper for it."""
    whole = Whole()
    for event in events:
        if start := event.get("contentBlockStart"):
            if call := start["start"].get("toolUse"):
                whole.blocks[start["contentBlockIndex"]] = {"toolUse": {**call, "input": ""}}
        elif piece := event.get("contentBlockDelta"):
            add(whole.blocks.setdefault(piece["contentBlockIndex"], {}), piece["delta"])
        elif stop := event.get("messageStop"):
            whole.finish = stop["stopReason"]
        elif about := event.get("metadata"):
            whole.usage = about["usage"]
    for block in whole.blocks.values():
        if call := block.get("toolUse"):
            call["input"] = json.loads(call["input"] or "{}")
    return [block for _, block in sorted(whole.blocks.items())], whole.finish, whole.usage


def add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """Adds a delta to its block."""
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif call := delta.get("toolUse"):
        block["toolUse"]["input"] += call["input"]
    elif thought := delta.get("reasoningContent"):
        inner = block.setdefault("reasoningContent", {})
        if "redactedContent" in thought:
            inner["redactedContent"] = inner.get("redactedContent", b"") + thought["redactedContent"]
        for name in ("text", "signature"):
            if name in thought:
                said = inner.setdefault("reasoningText", {"text": ""})
                said[name] = said.get(name, "") + thought[name]


def read(blocks: list[dict[str, Any]], reason: str | None, usage: dict[str, Any] | None) -> Answer:
    """Reads the blocks of a message, and keeps them as the turn."""
    why = finish(FINISH, reason)
    assert usage is not None, "no usage"
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    prompt = usage["inputTokens"] + read + written
    assert usage["totalTokens"] == prompt + usage["outputTokens"], usage
    thoughts = [block["reasoningContent"].get("reasoningText", {}) for block in blocks if "reasoningContent" in block]
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    turn = [{"role": "assistant", "content": blocks}] if blocks else []
    return Answer(
        text="".join(block.get("text", "") for block in blocks),
        reasoning="".join(thought.get("text", "") for thought in thoughts),
        calls=[Call(call["toolUseId"], call["name"], call["input"]) for call in calls],
        finish=why,
        usage=Usage(prompt, usage["outputTokens"], read, written),
        turn=turn,
        plain=turn,
    )
