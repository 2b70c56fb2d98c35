"""What every SDK script needs: where the gateway is, and checks that say what they saw."""

import json
import os
import urllib.request

URL = os.environ["BUSBAR_URL"]

# The provider itself, to know what it would have said.
SIMULATOR = os.environ.get("SIMULATOR_URL", "")

KEY = "sk-test-caller"


def equal(actual, expected, what="value"):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def raises(kind, call):
    """Runs a call that has to fail with exactly this class, and returns the exception."""
    try:
        result = call()
    except Exception as error:  # whatever else it is, it is the wrong class
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {result!r}")


def scenario(protocol, name):
    """The model that plays a scenario of the simulator, in a protocol of its own."""
    return f"{protocol}-{name}"


def upstream_model(name):
    """The same scenario as the simulator itself calls it."""
    return f"sim-{name}"


def fidelity(raw):
    """The `busbar-fidelity` header as a map from kind to names; empty when nothing was lost or changed."""
    header = raw.headers.get("busbar-fidelity", "")
    parts = [part.partition("=") for part in header.split("; ") if part]
    return {kind: names.split(",") for kind, _, names in parts}


def lost(raw):
    """What of the request was dropped: an answer's own figures may have no place in another form."""
    own = ("usage", "created", "system_fingerprint", "service_tier")
    return [name for name in fidelity(raw).get("dropped", []) if not name.startswith(own)]


def received():
    """The body of the last request that the simulator took."""
    with urllib.request.urlopen(f"{SIMULATOR}/__sim/requests", timeout=10) as answer:
        return json.loads(json.load(answer)["requests"][-1]["body"])
