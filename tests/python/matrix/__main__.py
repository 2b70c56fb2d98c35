"""Plays scenarios: `python -m matrix CLIENT BACKEND [SCENARIO...]`.

`BUSBAR_URL` is where the calls go. Through a gateway its models are named `BACKEND-SCENARIO`; BACKEND
`straight` is the simulator itself. One line a scenario and mode, then a summary; the exit code is 1 when one failed.
"""

import importlib
import sys
import traceback

from .client import Client
from .pair import PROTOCOLS, Pair, Skip
from .scenarios import all_scenarios

# Longest reason in a line.
MAX_REASON = 400


def client(protocol: str) -> Client:
    """The adapter of a protocol; the other SDKs are not loaded."""
    assert protocol in PROTOCOLS, f"no protocol {protocol!r}, but {PROTOCOLS}"
    module = importlib.import_module(f".{protocol}", __package__)
    return getattr(module, "".join(word.capitalize() for word in protocol.split("_")))()


def play(name: str, pair: Pair) -> str:
    """Plays one scenario and says how it went."""
    try:
        all_scenarios()[name](pair)
    except Skip as skip:
        return f"skip {skip}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        place = next((f"{frame.name}:{frame.lineno}" for frame in where if "scenarios" in frame.filename), "")
        reason = " ".join(f"{type(error).__name__}: {error} ({place})".split())
        return f"FAIL {reason[:MAX_REASON]}"
    return "ok"


def main() -> int:
    protocol, backend, *chosen = sys.argv[1:]
    unknown = set(chosen) - set(all_scenarios())
    assert not unknown, f"no scenarios {unknown}"
    straight = backend == "straight"
    backend = protocol if straight else backend
    assert backend in PROTOCOLS, f"no protocol {backend!r}, but {PROTOCOLS}"
    sdk = client(protocol)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for name in chosen or all_scenarios():
        for stream in (False, True):
            said = play(name, Pair(sdk, protocol, backend, stream, straight))
            counts[said.split()[0]] += 1
            print(f"{name}/{'stream' if stream else 'buffered'}: {said}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped", flush=True)
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
