"""Failures: the right exception with the right status, and never a shorter success."""

from functools import partial

from ..pair import Pair, equal

# By the name that the clients' tables have, the scenario that the backend plays.
ERRORS = {
    "invalid": "error-400",
    "key": "error-401",
    "permission": "error-403",
    "missing": "error-404",
    "rate": "error-429",
    "server": "error-500",
    "overflow": "error-400-overflow",
}


def error(pair: Pair, name: str) -> None:
    scenario = ERRORS.get(name)
    if name == "overloaded":
        scenario = "error-529" if pair.backend == "anthropic" else "error-503"
    expected = pair.client.errors[name]
    raised = pair.raises(lambda: pair.ask(scenario, pair.client.user("Hello")))
    assert isinstance(raised, expected.kind), f"{type(raised).__name__} instead of {expected.kind.__name__}: {raised}"
    failure = pair.client.failure(raised)
    assert failure.status in expected.statuses, f"status {failure.status}, expected {expected.statuses}"
    if expected.word:
        equal(failure.word, expected.word, "word")
    assert failure.message and expected.says in failure.message, failure.message
    if name == "rate":
        assert int(failure.headers.get("retry-after", 0)) > 0, failure.headers


def broken(pair: Pair, scenario: str) -> None:
    """It breaks in the middle of the answer, which is no fault of the request."""
    raised = pair.raises(lambda: pair.ask(scenario, pair.client.user("Hello")))
    refused = pair.client.errors["invalid"]
    if isinstance(raised, refused.kind):
        failure = pair.client.failure(raised)
        assert failure.status not in refused.statuses, f"refused before it began: {failure}"


SCENARIOS = {
    **{f"error_{name}": partial(error, name=name) for name in [*ERRORS, "overloaded"]},
    "error_mid": partial(broken, scenario="error-mid"),
    "error_early": partial(broken, scenario="error-early"),
    "cut": partial(broken, scenario="cut"),
}
