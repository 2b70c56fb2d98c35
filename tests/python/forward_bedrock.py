"""boto3 through the gateway to a provider of the same protocol, signed."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from common import URL, equal, scenario

HELLO = [{"role": "user", "content": [{"text": "Hello"}]}]

ERRORS = {
    "error-400": (400, "ValidationException"),
    "error-401": (401, "UnrecognizedClientException"),
    "error-403": (403, "AccessDeniedException"),
    "error-404": (404, "ResourceNotFoundException"),
    "error-429": (429, "ThrottlingException"),
    "error-500": (500, "InternalServerException"),
    "error-503": (503, "ServiceUnavailableException"),
}


# A model id with what has to be escaped in a path.
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model-v1:0"

# With a signature; its bearer tokens this SDK sends over HTTPS alone.
client = boto3.client(
    "bedrock-runtime",
    endpoint_url=URL,
    region_name="us-east-1",
    aws_access_key_id="AKIATEST",
    aws_secret_access_key="secret",
    config=Config(retries={"total_max_attempts": 1}),
)


def text():
    for model in [scenario("bedrock", "text"), ARN]:
        answer = client.converse(modelId=model, messages=HELLO)
        assert answer["output"]["message"]["content"][0]["text"]
        equal(answer["stopReason"], "end_turn")
        assert answer["usage"]["totalTokens"] > 0


def stream():
    for model in [scenario("bedrock", "text"), ARN]:
        buffered = client.converse(modelId=model, messages=HELLO)
        events = list(client.converse_stream(modelId=model, messages=HELLO)["stream"])
        deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
        text = "".join(delta.get("text", "") for delta in deltas)
        equal(text, buffered["output"]["message"]["content"][0]["text"])
        equal([event["messageStop"]["stopReason"] for event in events if "messageStop" in event], ["end_turn"])
        assert any("metadata" in event for event in events)


def errors():
    for name, (status, code) in ERRORS.items():
        for call in [client.converse, client.converse_stream]:
            error = raises_client_error(lambda: call(modelId=scenario("bedrock", name), messages=HELLO))
            equal(error.response["Error"]["Code"], code, name)
            equal(error.response["ResponseMetadata"]["HTTPStatusCode"], status, name)


def refused_by_the_gateway():
    error = raises_client_error(lambda: client.converse(modelId="no-such-model", messages=HELLO))
    equal(error.response["Error"]["Code"], "ResourceNotFoundException")


def raises_client_error(call):
    """boto3 makes one class for each modelled error; all are client errors."""
    try:
        result = call()
    except ClientError as error:
        return error
    raise AssertionError(f"no error, but {result!r}")
