"""What the command `evaluate` can be told. It needs nothing installed, so that its help is there before anything is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from webui.evaluation.scores import SCORES

CONCURRENCY = 256  # rows on their way at once, unless told otherwise
WARM_UP = 4  # of each variant's first answers, unless told otherwise


def main(arguments: Sequence[str]) -> int:
    """Reads the arguments and runs the command; the exit status is the command's."""
    options, rest = _parser().parse_known_args(list(arguments))
    from webui.evaluation import command

    return command.run(options, rest, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python launch.py evaluate",
        description="Asks a file of prompts of one variant or more, scores the answers and writes reports.",
        epilog="All settings of the app may follow; a variant's own [engine] table goes before them.",
        allow_abbrev=False,
    )
    parser.add_argument("prompts", type=Path, help="JSONL or CSV, or saved conversations: a JSON file or a folder of them")
    parser.add_argument("--variant", action="append", type=Path, required=True, metavar="FILE", help="TOML; give one for each")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="for answers and reports; goes on if it is there"
    )
    parser.add_argument(
        "--score", action="append", metavar="NAME", help=f"{', '.join(SCORES)}; not given: all that fit the rows"
    )
    parser.add_argument("--repeats", type=int, default=1, help="how often each row is asked (default: 1)")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help=f"rows at once (default: {CONCURRENCY})")
    warm_up = f"first answers of each variant that count in no latency (default: {WARM_UP})"
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help=warm_up)
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="a variant that judges every pair of answers, in both orders"
    )
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="what it judges by, as text")
    parser.add_argument("--phase", type=int, default=0, help=argparse.SUPPRESS)
    return parser
