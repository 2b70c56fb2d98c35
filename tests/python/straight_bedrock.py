"""boto3 straight at the simulator: whole loops, buffered and streamed."""

import base64
import json

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from common import SIMULATOR, equal

# The SDK's own check of parameters is off: the simulator is what has to refuse.
client = boto3.client(
    "bedrock-runtime",
    endpoint_url=SIMULATOR,
    region_name="us-east-1",
    aws_access_key_id="AKIATEST",
    aws_secret_access_key="secret",
    config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
)

SHAPES = botocore.session.get_session().get_service_model("bedrock-runtime")

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

PDF = b"%PDF-1.4\n%%EOF\n"

THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": schema}}}


TOOLS = {"tools": [tool("get_weather", city={"type": "string"}), tool("get_time", city={"type": "string"})]}


def user(*content):
    return {"role": "user", "content": list(content) or [{"text": "Hello"}]}


def known(shape, value, path="answer"):
    """Sees that a parsed answer has what its shape demands, and no word that the SDK does not know."""
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name in shape.required_members:
            assert name in value, f"{path}.{name} is missing"
        if getattr(shape, "is_tagged_union", False):
            assert "SDK_UNKNOWN_MEMBER" not in value, f"{path}: {value}"
            equal(len(value), 1, path)
        for name, inner in value.items():
            if name != "ResponseMetadata":
                known(shape.members[name], inner, f"{path}.{name}")
    elif shape.type_name == "list":
        for n, inner in enumerate(value):
            known(shape.member, inner, f"{path}[{n}]")
    elif shape.type_name == "string" and shape.enum:
        assert value in shape.enum, f"{path}: {value}"


def gather(events):
    """Puts an answer together from its events, in the form of a whole one."""
    names = [next(iter(event)) for event in events]
    equal((names[0], names[-2:]), ("messageStart", ["messageStop", "metadata"]))
    shape = SHAPES.shape_for("ConverseStreamOutput")
    blocks, done = {}, []
    for event in events:
        (name, value), = event.items()
        known(shape.members[name], value, name)
        index = value.get("contentBlockIndex")
        assert index not in done, "a block goes on after its end"
        if name == "contentBlockStart":
            blocks[index] = {"toolUse": {**value["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            add(blocks.setdefault(index, {}), value["delta"])
        elif name == "contentBlockStop":
            assert index in blocks
            done.append(index)
    equal(done, list(range(len(blocks))), "blocks that ended")
    content = [blocks[index] for index in done]
    for block in content:
        if call := block.get("toolUse"):
            call["input"] = parsed(call["input"])
        if citations := block.pop("citations", None):
            block["citationsContent"] = {"content": [{"text": block.pop("text")}], "citations": citations}
    answer = {"output": {"message": {"role": events[0]["messageStart"]["role"], "content": content}}}
    for name in ["messageStop", "metadata"]:
        answer.update(next(event[name] for event in events if name in event))
    return answer


def parsed(arguments):
    """Arguments that the limit cut are no JSON; a whole answer has an empty object for them."""
    try:
        return json.loads(arguments)
    except json.JSONDecodeError:
        return {}


def add(block, delta):
    """Adds a delta to its block."""
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "citation" in delta:
        block.setdefault("citations", []).append(delta["citation"])
    elif "redactedContent" in delta["reasoningContent"]:
        block["reasoningContent"] = delta["reasoningContent"]
    else:
        inner = block.setdefault("reasoningContent", {"reasoningText": {}})["reasoningText"]
        for name, value in delta["reasoningContent"].items():
            inner[name] = inner.get(name, "") + value


def ask(scenario, messages=None, **options):
    """Asks both ways, sees that the same was said, and gives the whole answer."""
    asked = {"modelId": f"sim-{scenario}", "messages": messages or [user()], **options}
    whole = client.converse(**asked)
    assert whole.pop("ResponseMetadata")["RequestId"]
    known(SHAPES.shape_for("ConverseResponse"), whole)
    equal(gather(list(client.converse_stream(**asked)["stream"])), whole, scenario)
    return whole


def turn(answer):
    return answer["output"]["message"]


def said(answer):
    return "".join(block.get("text", "") for block in turn(answer)["content"])


def calls(answer):
    return [block["toolUse"] for block in turn(answer)["content"] if "toolUse" in block]


def refused(words, code="ValidationException", status=400, **options):
    """Both ways fail with exactly this error."""
    asked = {"modelId": "sim-text", "messages": [user()], **options}
    for call in [client.converse, client.converse_stream]:
        try:
            answer = call(**asked)
        except ClientError as error:
            response = error.response
        else:
            raise AssertionError(f"no error, but {answer!r}")
        equal((response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]), (code, status), words)
        assert words in response["Error"]["Message"], response
        equal(response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"], code)


def text():
    limits = {"maxTokens": 99, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    system = [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]
    answer = ask("text", inferenceConfig=limits, system=system, requestMetadata={"team": "a b"})
    assert said(answer).startswith("Simulated answer to: Hello (messages=1 system=2"), answer
    equal(answer["stopReason"], "end_turn")
    again = [user(), turn(answer), user({"text": "And?"})]
    assert "And? (messages=3" in said(ask("text", again))
    assert "北京" in said(ask("unicode"))
    tier = {"serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "optimized"}}
    answer = ask("text", **tier)
    equal({name: answer[name] for name in tier}, tier)


def usage():
    counted = ask("usage")["usage"]
    equal((counted["inputTokens"], counted["cacheReadInputTokens"], counted["cacheWriteInputTokens"]), (11, 700, 350))
    equal(counted["totalTokens"], 1061 + counted["outputTokens"])
    equal(counted["cacheDetails"], [{"ttl": "5m", "inputTokens": 300}, {"ttl": "1h", "inputTokens": 50}])


def endings():
    for scenario, reason, options in [
        ("length", "max_tokens", {}),
        ("text", "max_tokens", {"inferenceConfig": {"maxTokens": 2}}),
        ("window", "model_context_window_exceeded", {}),
        ("length-tools", "max_tokens", {"toolConfig": TOOLS}),
        ("refusal", "content_filtered", {}),
        ("filter", "content_filtered", {}),
        ("blocked", "guardrail_intervened", {}),
        ("empty", "end_turn", {}),
    ]:
        equal(ask(scenario, **options)["stopReason"], reason, scenario)
    stop = {"inferenceConfig": {"stopSequences": ["END"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]}
    answer = ask("stop", **stop)
    equal((answer["stopReason"], answer["additionalModelResponseFields"]), ("stop_sequence", {"stop_sequence": "END"}))
    guardrail = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "enabled"}
    trace = ask("blocked", guardrailConfig=guardrail)["trace"]["guardrail"]
    equal(trace["inputAssessment"]["abc"]["topicPolicy"]["topics"][0]["action"], "BLOCKED")


def thinking():
    limits = {"inferenceConfig": {"maxTokens": 2000}, "additionalModelRequestFields": THINKING}
    for scenario in ["think", "redacted", "interleaved"]:
        answer = ask(scenario, **limits)
        assert "reasoningContent" in turn(answer)["content"][0], answer
        # It goes back as it came.
        ask("text", [user(), turn(answer), user({"text": "And?"})], **limits)
    thought = ask("think", **limits)
    turn(thought)["content"][0]["reasoningContent"]["reasoningText"]["text"] += " Not."
    refused("Invalid `signature` in `thinking` block", messages=[user(), turn(thought), user()])
    hidden = {"role": "assistant", "content": [{"reasoningContent": {"redactedContent": b"x"}}, {"text": "a"}]}
    refused("Invalid `data` in `redacted_thinking` block", messages=[user(), hidden, user()])


def tools():
    answer = ask("tools", toolConfig=TOOLS)
    equal(answer["stopReason"], "tool_use")
    asked = calls(answer)
    equal([call["name"] for call in asked], ["get_weather", "get_time"])
    equal([call["input"] for call in asked], [{"city": "value"}] * 2)
    results = [
        {"toolResult": {"toolUseId": asked[1]["toolUseId"], "content": [{"text": "noon"}]}},
        {
            "toolResult": {
                "toolUseId": asked[0]["toolUseId"],
                "status": "error",
                "content": [{"json": {"sky": "grey"}}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}],
            }
        },
    ]
    turns = [user(), turn(answer), user(*results)]
    done = ask("tools", turns, toolConfig=TOOLS)
    equal((said(done), done["stopReason"]), ('The tools said: noon | {"sky":"grey"} [content]', "end_turn"))
    refused("Expected toolResult blocks at messages.2.content", messages=[*turns[:2], user(results[0])], toolConfig=TOOLS)
    refused("contain duplicate Ids", messages=[*turns[:2], user(*results, results[0])], toolConfig=TOOLS)
    refused("The toolConfig field must be defined", messages=turns)
    refused("without `tool_result` blocks", messages=turns[:2], toolConfig=TOOLS)


def tool_choice():
    for choice, names in [
        ({"any": {}}, ["get_weather"]),
        ({"tool": {"name": "get_time"}}, ["get_time"]),
        ({"auto": {}}, []),
    ]:
        answer = ask("text", toolConfig={**TOOLS, "toolChoice": choice})
        equal([call["name"] for call in calls(answer)], names)
    refused("Tool 'other' not found", toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "other"}}})


def thinking_and_tools():
    options = {
        "inferenceConfig": {"maxTokens": 2000},
        "additionalModelRequestFields": THINKING,
        "toolConfig": TOOLS,
    }
    answer = ask("think-tools", **options)
    equal([next(iter(block)) for block in turn(answer)["content"]], ["reasoningContent", "toolUse"])
    result = {"toolResult": {"toolUseId": calls(answer)[0]["toolUseId"], "content": [{"text": "rain"}]}}
    turns = [user(), turn(answer), user(result)]
    equal(said(ask("text", turns, **options)), "The tools said: rain")
    turn(answer)["content"].pop(0)
    refused("must start with a thinking block", messages=turns, **options)


def media():
    image = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    stored = {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://a-bucket/a.jpg"}}}}
    answer = ask("text", [user({"text": "What is this?"}, image, stored)])
    assert "What is this? (messages=1 system=0 tools=0 images=2" in said(answer), answer
    paper = {
        "document": {"format": "pdf", "name": "paper", "source": {"bytes": PDF}, "citations": {"enabled": True}}
    }
    answer = ask("citations", [user(paper, {"text": "What does it say?"})])
    cited = turn(answer)["content"][0]["citationsContent"]
    equal(cited["content"], [{"text": "The sky is blue."}])
    equal(cited["citations"][0]["title"], "paper")
    equal(cited["citations"][0]["location"], {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}})
    # An answer with citations goes back as it came.
    ask("text", [user(), turn(answer), user({"text": "And?"})])
    refused("A text block must be included", messages=[user(paper)])
    refused("must set one of the following keys", messages=[user({"image": {"format": "png", "source": {}}})])


def schema():
    wanted = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["name", "people"],
        "additionalProperties": False,
    }

    def config(schema):
        structure = {"jsonSchema": {"name": "town", "schema": json.dumps(schema)}}
        return {"textFormat": {"type": "json_schema", "structure": structure}}

    equal(json.loads(said(ask("json", outputConfig=config(wanted)))), {"name": "value", "people": 1})
    del wanted["additionalProperties"]
    refused("must be explicitly set to false", outputConfig=config(wanted))


def errors():
    for name, status, code in [
        ("error-400", 400, "ValidationException"),
        ("error-401", 401, "UnrecognizedClientException"),
        ("error-403", 403, "AccessDeniedException"),
        ("nothing", 404, "ResourceNotFoundException"),
        ("error-408", 408, "ModelTimeoutException"),
        ("error-424", 424, "ModelErrorException"),
        ("error-429", 429, "ThrottlingException"),
        ("error-500", 500, "InternalServerException"),
        ("error-503", 503, "ServiceUnavailableException"),
    ]:
        refused("", code, status, modelId=f"sim-{name}")
    refused("Input is too long for requested model.", modelId="sim-error-400-overflow")
    for scenario, code in [
        ("error-mid", "throttlingException"),
        ("error-early", "throttlingException"),
        ("failed", "modelStreamErrorException"),
    ]:
        stream = client.converse_stream(modelId=f"sim-{scenario}", messages=[user()])["stream"]
        seen = []
        try:
            seen.extend(event for event in stream)
        except EventStreamError as error:
            equal(error.response["Error"]["Code"], code, scenario)
        else:
            raise AssertionError(f"{scenario}: the stream ended well: {seen}")


def refusals():
    refused("at 'inferenceConfig.temperature' failed to satisfy constraint", inferenceConfig={"temperature": 1.5})
    refused("at 'inferenceConfig.maxTokens' failed to satisfy constraint", inferenceConfig={"maxTokens": 0})
    refused("failed to satisfy constraint", toolConfig={"tools": [tool("get.weather")]})
    refused("at 'messages.1.member.role'", messages=[{"role": "tool", "content": [{"text": "a"}]}])
    refused("A conversation must start with a user message", messages=[{"role": "assistant", "content": [{"text": "a"}]}])
    refused("A conversation must alternate", messages=[user(), user()])
    refused("is blank", messages=[user({"text": " "})])
    refused("failed to satisfy constraint", requestMetadata={"a%": "b"})
    refused("failed to satisfy constraint", serviceTier={"type": "auto"})
    mark = {"cachePoint": {"type": "default"}}
    refused("A maximum of 4 blocks", messages=[user({"text": "a"}, *[mark] * 5)])
    low = {"thinking": {"type": "enabled", "budget_tokens": 1}}
    refused("greater than or equal to 1024", additionalModelRequestFields=low)
    refused("conflicts with an existing field", additionalModelRequestFields={"messages": []})
    note = {"document": {"format": "txt", "name": "a.txt", "source": {"bytes": b"a"}}}
    refused("The document file name can only contain", messages=[user(note, {"text": "a"})])
