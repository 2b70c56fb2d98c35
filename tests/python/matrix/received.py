"""What a backend received, read from the body that its `echo` gives back: one reader a protocol."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """A request in no protocol's form."""

    system: str = ""
    # All words of the user, turn after turn.
    user: list[str] = field(default_factory=list)
    # Names and schemas.
    tools: list[tuple[str, Any]] = field(default_factory=list)
    # auto, required, none or a name; auto where nothing is said.
    choice: str = "auto"
    limit: int | None = None
    stop: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    pdfs: list[bytes] = field(default_factory=list)
    # Names and arguments, and texts of the results, in the same order.
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    # Reasoning under a signature or a seal, which the simulator has verified; and seals without a text.
    signed: int = 0
    hidden: int = 0


def received(protocol: str, text: str) -> Received:
    """Reads an echo of a backend."""
    return READERS[protocol](json.loads(text))


def parts(content: Any) -> list[dict[str, Any]]:
    """Content as a list of parts, where it may be a bare text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def words(content: Any) -> str:
    """The text of content."""
    return "".join(part.get("text") or "" for part in parts(content))


def unwrap(address: str) -> tuple[str, bytes]:
    """The media type and the bytes of a data address."""
    head, _, data = address.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data)


def in_order(calls: list[tuple[str, str, Any]], results: list[tuple[str, str]], into: Received) -> None:
    """Pairs results with calls by their ids."""
    said = dict(results)
    assert len(said) == len(results), f"results under the same id: {results}"
    into.calls = [(name, arguments) for _, name, arguments in calls]
    into.results = [said[id] for id, _, _ in calls if id in said]
    assert len(into.results) == len(results), f"results without a call: {calls} {results}"


def openai_chat(body: dict[str, Any]) -> Received:
    seen = Received(limit=body.get("max_completion_tokens", body.get("max_tokens")))
    calls, results = [], []
    for message in body["messages"]:
        match message["role"]:
            case "system" | "developer":
                seen.system += words(message["content"])
            case "user":
                seen.user.append(words(message["content"]))
                for part in parts(message["content"]):
                    if part["type"] == "image_url":
                        seen.images.append(unwrap(part["image_url"]["url"])[1])
                    if part["type"] == "file":
                        seen.pdfs.append(unwrap(part["file"]["file_data"])[1])
            case "assistant":
                for call in message.get("tool_calls") or []:
                    function = call["function"]
                    calls.append((call["id"], function["name"], json.loads(function["arguments"])))
            case "tool":
                results.append((message["tool_call_id"], words(message["content"])))
    in_order(calls, results, seen)
    functions = [tool["function"] for tool in body.get("tools") or []]
    seen.tools = [(function["name"], function["parameters"]) for function in functions]
    choice = body.get("tool_choice", "auto")
    seen.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    stop = body.get("stop") or []
    seen.stop = [stop] if isinstance(stop, str) else stop
    return seen


def openai_responses(body: dict[str, Any]) -> Received:
    seen = Received(system=body.get("instructions") or "", limit=body.get("max_output_tokens"))
    calls, results = [], []
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message"):
            case "message" if item["role"] in ("system", "developer"):
                seen.system += words(item["content"])
            case "message" if item["role"] == "user":
                seen.user.append(words(item["content"]))
                for part in parts(item["content"]):
                    if part["type"] == "input_image":
                        seen.images.append(unwrap(part["image_url"])[1])
                    if part["type"] == "input_file":
                        seen.pdfs.append(unwrap(part["file_data"])[1])
            case "function_call":
                calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
            case "function_call_output":
                results.append((item["call_id"], words(item["output"])))
            case "reasoning":
                sealed = bool(item.get("encrypted_content"))
                seen.signed += sealed
                seen.hidden += sealed and not item["summary"]
    in_order(calls, results, seen)
    seen.tools = [(tool["name"], tool["parameters"]) for tool in body.get("tools") or []]
    choice = body.get("tool_choice", "auto")
    seen.choice = choice if isinstance(choice, str) else choice["name"]
    return seen


def anthropic(body: dict[str, Any]) -> Received:
    seen = Received(words(body.get("system")), limit=body["max_tokens"], stop=body.get("stop_sequences") or [])
    calls, results = [], []
    for message in body["messages"]:
        if message["role"] == "system":
            seen.system += words(message["content"])
        for block in parts(message["content"]):
            match block["type"]:
                case "text" if message["role"] == "user":
                    seen.user.append(block["text"])
                case "image":
                    seen.images.append(base64.b64decode(block["source"]["data"]))
                case "document":
                    seen.pdfs.append(base64.b64decode(block["source"]["data"]))
                case "tool_use":
                    calls.append((block["id"], block["name"], block["input"]))
                case "tool_result":
                    results.append((block["tool_use_id"], words(block["content"])))
                case "thinking":
                    seen.signed += 1
                case "redacted_thinking":
                    seen.signed += 1
                    seen.hidden += 1
    in_order(calls, results, seen)
    seen.tools = [(tool["name"], tool["input_schema"]) for tool in body.get("tools") or []]
    choice = body.get("tool_choice") or {"type": "auto"}
    seen.choice = {"any": "required", "tool": choice.get("name")}.get(choice["type"], choice["type"])
    return seen


def gemini(body: dict[str, Any]) -> Received:
    body = camel(body)
    config = body.get("generationConfig") or {}
    seen = Received(
        words((body.get("systemInstruction") or {}).get("parts")),
        limit=config.get("maxOutputTokens"),
        stop=config.get("stopSequences") or [],
    )
    for content in body["contents"]:
        for part in content["parts"]:
            seen.signed += bool(part.get("thoughtSignature"))
            if "text" in part and content.get("role") != "model":
                seen.user.append(part["text"])
            elif media := part.get("inlineData"):
                data = base64.b64decode(media["data"].replace("-", "+").replace("_", "/"))
                (seen.pdfs if media["mimeType"] == "application/pdf" else seen.images).append(data)
            elif call := part.get("functionCall"):
                seen.calls.append((call["name"], call.get("args") or {}))
            elif result := part.get("functionResponse"):
                seen.results.append(" ".join(str(value) for value in result["response"].values()))
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations") or []:
            schema = function.get("parametersJsonSchema") or function.get("parameters")
            seen.tools.append((function["name"], schema))
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = calling.get("allowedFunctionNames") or []
    mode = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", "AUTO"), "auto")
    seen.choice = names[0] if mode == "required" and len(names) == 1 else mode
    return seen


# Objects of the caller's own, whose names are not the protocol's.
OWN = {"args", "response", "parametersJsonSchema", "parameters", "responseJsonSchema", "responseSchema"}


def camel(value: Any) -> Any:
    """The one spelling of names of which this protocol takes two."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {name: "".join([name.split("_")[0], *map(str.capitalize, name.split("_")[1:])]) for name in value}
    return {names[name]: item if names[name] in OWN else camel(item) for name, item in value.items()}


def bedrock(body: dict[str, Any]) -> Received:
    config = body.get("inferenceConfig") or {}
    seen = Received(words(body.get("system")), limit=config.get("maxTokens"), stop=config.get("stopSequences") or [])
    calls, results = [], []
    for message, block in blocks(body):
        if "text" in block and message["role"] == "user":
            seen.user.append(block["text"])
        elif image := block.get("image"):
            seen.images.append(base64.b64decode(image["source"]["bytes"]))
        elif document := block.get("document"):
            seen.pdfs.append(base64.b64decode(document["source"]["bytes"]))
        elif call := block.get("toolUse"):
            calls.append((call["toolUseId"], call["name"], call["input"]))
        elif result := block.get("toolResult"):
            results.append((result["toolUseId"], words(result["content"])))
        elif thought := block.get("reasoningContent"):
            hidden = "redactedContent" in thought
            seen.signed += hidden or "signature" in thought["reasoningText"]
            seen.hidden += hidden
    in_order(calls, results, seen)
    tools = body.get("toolConfig") or {}
    specs = [tool["toolSpec"] for tool in tools.get("tools") or [] if "toolSpec" in tool]
    seen.tools = [(spec["name"], spec["inputSchema"]["json"]) for spec in specs]
    choice = tools.get("toolChoice") or {"auto": {}}
    seen.choice = choice["tool"]["name"] if "tool" in choice else "required" if "any" in choice else "auto"
    return seen


def blocks(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every block with its message."""
    for message in body["messages"]:
        for block in message["content"]:
            yield message, block


def cohere(body: dict[str, Any]) -> Received:
    # The tools and the media are those of chat completions; a choice has words of its own.
    choice = (body.pop("tool_choice", None) or "AUTO").lower()
    for message in body["messages"]:
        message.setdefault("content", None)
    seen = openai_chat(body)
    seen.choice = choice
    seen.stop = body.get("stop_sequences") or []
    return seen


READERS = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "cohere": cohere,
}
