"""What every pair is asked, buffered and streamed; written once, for all SDKs and all backends."""

from collections.abc import Callable

from ..pair import Pair
from . import errors, history, output, reasoning, texts, tools

Scenario = Callable[[Pair], None]


def all_scenarios() -> dict[str, Scenario]:
    """Every scenario by its name, in the order of play; what may close a lane comes last."""
    found: dict[str, Scenario] = {}
    for module in (texts, tools, reasoning, history, output, errors):
        for name, scenario in module.SCENARIOS.items():
            assert name not in found, name
            found[name] = scenario
    return found
