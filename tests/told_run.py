"""A run in a process of its own, which may kill itself. Its answers come from here; each question is noted before its answer.

python -m tests.told_run FOLDER ROWS CONCURRENCY [ANSWERS AFTER WHICH IT KILLS ITSELF]
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from webui.evaluation.folder import Folder, Plan
from webui.evaluation.prompts import read
from webui.evaluation.runs import Answer, Ask, Journal, Run
from webui.evaluation.variants import Variant

ENGINE = "told"


def plan(folder: Path, rows: int, concurrency: int) -> Folder:
    """A folder with so many rows, asked of two variants."""
    content = "\n".join(f'{{"prompt": "question {i}", "reference": "answer {i}"}}' for i in range(rows))
    prompts = read("rows.jsonl", content.encode())
    variants = [Variant("a"), Variant("b", system="short")]
    made = Folder.make(folder, Plan("told", variants, ["exact"], concurrency=concurrency), prompts)
    made.engines = {name: {"fingerprint": ENGINE} for name in ("a", "b")}
    made.save()
    return made


def asks(folder: Folder) -> list[Ask]:
    """Everything that is to be asked."""
    return [ask for variant in folder.plan.variants for ask in folder.plan.asks(folder.prompts.rows, variant, ENGINE)]


async def main(path: Path, rows: int, concurrency: int, killed_after: int = 0) -> None:
    folder = plan(path, rows, concurrency)
    answered = 0
    with (path / "asked.log").open("a", buffering=1) as asked:

        async def answer(ask: Ask) -> Answer:
            nonlocal answered
            asked.write(ask.key + "\n")
            await asyncio.sleep(random.random() * 0.02)
            answered += 1
            if answered == killed_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return Answer(ask.key, ask.about, f"answer {ask.messages[-1][1].split()[1]}", "stop")

        journal = Journal(folder.journal)
        await Run(asks(folder), journal, answer, concurrency).run()
        journal.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
