"""The command line of the measurements: `python -m bench [NAME ...]`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.cases import CASES
from bench.measure import MEMORY, Setting, save


def main() -> int:
    """Run the named cases, or all."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="bench", description="Measure everysite and its peers in the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--work", type=Path, default=MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir()))
    parser.add_argument("--scale", type=float, default=1.0, help="shrink every data set, for example 0.02")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true", help="everysite alone")
    args = parser.parse_args()
    unknown = set(args.names) - set(names)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    for case in CASES:
        if args.names and case.name not in args.names:
            continue
        print(f"{case.name}:", file=sys.stderr, flush=True)
        work = Path(tempfile.mkdtemp(prefix="everysite-bench-", dir=args.work))
        try:
            setting = Setting(work, args.scale, args.rounds, not args.no_peers)
            table = case.run(setting)
            save(case.name, table, setting)
            print(f"\n{table.text()}\n", flush=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
