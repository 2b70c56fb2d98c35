"""Runs the named functions of one module: `run.py MODULE FUNCTION...`; the first failure ends it."""

import importlib
import sys


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    for name in sys.argv[2:]:
        print(f"{sys.argv[1]}.{name}", flush=True)
        getattr(module, name)()


if __name__ == "__main__":
    main()
