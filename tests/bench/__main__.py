"""Print ratios, each against a baseline of the same run: `./run.sh bench [PART]`.

Long cases come with `--all`, engines from PyPI with `--peers`.
"""

import argparse
import tempfile
from pathlib import Path

from tests.bench import api, engine, graphs, language, peers, scale

PARTS = {
    "engine": engine.bench,
    "language": language.bench,
    "api": api.bench,
    "graphs": graphs.bench,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run.sh bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--all", action="store_true", help="the long cases too")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--peers", action="store_true", help="with engine: snakemake and luigi too, from PyPI"
    )
    given = parser.parse_args()
    for name in given.part or PARTS:
        if name not in PARTS:
            parser.error(f"no part '{name}'; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="oxoflow-bench-") as directory:
        for name in given.part or PARTS:
            PARTS[name](Path(directory), "long" if given.all else "short", given.rounds)
        if "engine" in (given.part or PARTS):
            if given.peers:
                peers.bench(Path(directory), given.rounds)
            if given.all:
                scale.bench(Path(directory))


main()
