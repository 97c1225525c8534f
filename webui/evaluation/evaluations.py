"""The runs that were started on the page: each one's folder, and what is asked of the app's own engine just now.

A run belongs to the visitor who started it. Its rows yield to everybody: they have the priority of evaluations, and one lane is
left free, so that a visitor who comes need not wait for a row to end. It does not know HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.background import in_background
from webui.batch.board import Board
from webui.engines.supervisor import Supervisor
from webui.errors import BadInput, EvaluationNotFound, EvaluationUnkept, WebuiError
from webui.evaluation.asking import Asking, MakePrompt
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.plots import plots
from webui.evaluation.prompts import Prompts, read
from webui.evaluation.provenance import engine_provenance, fingerprint
from webui.evaluation.results import Rating
from webui.evaluation.runs import Answer, Ask, Journal, Progress, Run, State
from webui.evaluation.scores import fitting
from webui.evaluation.variants import Variant
from webui.settings import Settings

log = logging.getLogger(__name__)

SHOWN_AT_MOST = 5000  # answers that the page is sent; the reports have all
PREVIEW = 20  # rows
ELSEWHERE = 32  # rows at once, for an engine that does not say how many lanes it has
JUDGE = "judge"
_ID = re.compile(r"[0-9a-f]{16}")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
WORDS_AT_MOST = 4000  # of each of two answers whose words are compared


class Evaluation:
    """One run, asked or at rest.

    Attributes:
        run: what is being asked; None while nothing is.
        error: why it could not go on.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.run: Run | None = None
        self.task: asyncio.Task[None] | None = None
        self.error: dict[str, Any] | None = None
        self._known: tuple[list[int], dict[str, Any]] | None = None
        self._counted: tuple[int, tuple[int, int]] | None = None

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        return self.folder.path.name

    @property
    def active(self) -> bool:
        """Whether rows are asked, or would be but for a pause."""
        return self.task is not None and not self.task.done()

    def progress(self) -> Progress:
        """How far it is."""
        if self.run is not None:
            return self.run.progress
        size = self.folder.sizes()[0]
        if self._counted is None or self._counted[0] != size:
            self._counted = size, self.folder.counts()
        done, failed = self._counted[1]
        total = len(self.folder.plan.variants) * len(self.folder.prompts.rows) * self.folder.plan.repeats
        state: State = (
            "waiting" if self.active else "failed" if self.error else "finished" if done + failed == total else "cancelled"
        )
        return Progress(state, total, done, done, failed, None, None)

    def as_dict(self) -> dict[str, Any]:
        """For the list, as JSON types."""
        plan = self.folder.plan
        return {
            "id": self.id,
            "name": plan.name,
            "created": plan.created,
            "variants": [variant.name for variant in plan.variants],
            "scores": plan.scores,
            "rows": len(self.folder.prompts.rows),
            "bad": self.folder.prompts.bad_as_dicts(),
            "progress": asdict(self.progress()),
            "active": self.active,
            "error": self.error,
        }

    def results(self) -> dict[str, Any]:
        """Summary, answers and plots by now. Blocks for seconds."""
        known = self.folder.sizes()
        if self._known is None or self._known[0] != known:
            found = self.folder.results()
            summary = found.summary()
            rows = [each.as_dict() for each in found.scored[:SHOWN_AT_MOST]]
            drawn = [plot.as_dict() for plot in plots(summary)]
            self._known = known, {"summary": summary, "rows": rows, "plots": drawn}
        return self._known[1]


class Evaluations:
    """All runs of the page.

    Args:
        supervisor, board, prompt: the engine, its requests' times, and what makes prompts.
        settings: of the engine, and how many rows may be in it at once.
        path: the folder for the runs' folders; None keeps them as long as the app lives.
    """

    def __init__(self, supervisor: Supervisor, board: Board, prompt: MakePrompt, settings: Settings, path: Path | None) -> None:
        self._supervisor = supervisor
        self._asking = Asking(supervisor, board, prompt)
        self._settings = settings
        self._passing = tempfile.TemporaryDirectory(prefix="batchat-evaluations-") if path is None else None
        self._path = path or Path(self._passing.name if self._passing else "")
        self._places: asyncio.Semaphore | None = None
        self._known: dict[str, Evaluation] = {}

    # What a visitor may do

    def preview(self, name: str, content: bytes) -> dict[str, Any]:
        """What a file holds: its first rows, every bad one, tags and the scores that fit.

        Raises:
            BadInput
        """
        prompts = read(name, content)
        return {
            "rows": len(prompts.rows),
            "first": [{**row.as_dict(), "number": row.number, "prompt": row.prompt} for row in prompts.rows[:PREVIEW]],
            "bad": prompts.bad_as_dicts(),
            "tags": prompts.tags,
            "scores": fitting(prompts.rows),
        }

    def start(self, owner: str, values: Mapping[str, Any], name: str, content: bytes) -> Evaluation:
        """Begins a run.

        Args:
            values: the plan's.
            name, content: the file's.

        Raises:
            BadInput
        """
        prompts = read(name, content)
        if not prompts.rows:
            raise BadInput(field=name, reason="there is no row that can be asked")
        evaluation = Evaluation(self._made(owner, values, name, prompts))
        self._known[evaluation.id] = evaluation
        self._begin(evaluation)
        return evaluation

    def _made(self, owner: str, values: Mapping[str, Any], name: str, prompts: Prompts) -> Folder:
        plan = Plan.of({**values, "name": values.get("name") or name, "owner": owner}, prompts.rows)
        judge = [plan.judge.variant] if plan.judge else []
        for variant in [*plan.variants, *judge]:
            check_own_engine(variant)
        return Folder.make(self._path / secrets.token_hex(8), plan, prompts)

    def of(self, owner: str) -> list[Evaluation]:
        """A visitor's runs, the latest first."""
        with contextlib.suppress(FileNotFoundError):
            for path in self._path.iterdir():
                if _ID.fullmatch(path.name) and path.name not in self._known:
                    with contextlib.suppress(BadInput, KeyError):
                        self._known[path.name] = Evaluation(Folder.open(path))
        mine = [each for each in self._known.values() if each.folder.plan.owner == owner]
        return sorted(mine, key=lambda each: -each.folder.plan.created)

    def find(self, id: str, owner: str) -> Evaluation:
        """A visitor's run.

        Raises:
            EvaluationNotFound: if there is none of this id, or it is somebody else's.
        """
        found = next((each for each in self.of(owner) if each.id == id), None)
        if found is None:
            raise EvaluationNotFound()
        return found

    def pause(self, evaluation: Evaluation) -> None:
        """Asks nothing more for now."""
        if evaluation.run is not None:
            evaluation.run.pause()

    def resume(self, evaluation: Evaluation) -> None:
        """Goes on: after a pause, or with what was not answered when it ended."""
        if not evaluation.active:
            self._begin(evaluation)
        elif evaluation.run is not None:
            evaluation.run.resume()

    def cancel(self, evaluation: Evaluation) -> None:
        """Ends it; what was answered stays."""
        if evaluation.run is not None:
            evaluation.run.cancel()
        elif evaluation.task is not None:
            evaluation.task.cancel()

    async def delete(self, evaluation: Evaluation) -> None:
        """Ends it, and everything of it is gone."""
        await self._end(evaluation)
        self._known.pop(evaluation.id, None)
        shutil.rmtree(evaluation.folder.path)

    def rate(self, evaluation: Evaluation, rating: Rating) -> None:
        """Keeps what a person said of an answer.

        Raises:
            BadInput: if there is no such answer.
        """
        if rating.place not in evaluation.folder.texts():
            raise BadInput(field="row", reason="there is no such answer")
        evaluation.folder.rate(rating)

    # Asking

    def _begin(self, evaluation: Evaluation) -> None:
        evaluation.error = None
        evaluation.task = asyncio.create_task(self._run(evaluation), name=f"evaluation {evaluation.id}")

    async def _run(self, evaluation: Evaluation) -> None:
        folder, plan = evaluation.folder, evaluation.folder.plan
        try:
            with contextlib.closing(Journal(folder.journal)) as journal:
                info, model = (await self._supervisor.ready()).info, await in_background(self._fingerprint)
                names = [variant.name for variant in plan.variants] + ([JUDGE] if plan.judge else [])
                folder.engines = {name: engine_provenance(info, model) for name in names}
                folder.save()
                asks = [ask for each in plan.variants for ask in plan.asks(folder.prompts.rows, each, model)]
                if await self._ask(evaluation, asks, journal) and plan.judge is not None:
                    await self._ask(evaluation, folder.judge_asks(), journal)
        except WebuiError as error:
            evaluation.error = error.as_dict()
        except OSError as error:
            log.error("An evaluation cannot go on: %s", error)
            evaluation.error = EvaluationUnkept(reason=error.strerror or error).as_dict()
        finally:
            evaluation.run = None

    async def _ask(self, evaluation: Evaluation, asks: Sequence[Ask], journal: Journal) -> bool:
        """Whether all of them were asked, and it was not cancelled meanwhile."""
        plan = evaluation.folder.plan
        evaluation.run = Run(asks, journal, self._one, plan.concurrency, plan.warm_up)
        await evaluation.run.run()
        return evaluation.run.state == "finished"

    async def _one(self, ask: Ask) -> Answer:
        async with await self._place():
            return await self._asking(ask)

    async def _place(self) -> asyncio.Semaphore:
        """What lets so many rows of all runs into the engine at once."""
        if self._places is None:
            lanes = (await self._supervisor.ready()).info.lanes
            self._places = asyncio.Semaphore(self._settings.evaluation_concurrency or _but_one(lanes))
        return self._places

    def _fingerprint(self) -> str:
        return fingerprint(self._settings)

    async def _end(self, evaluation: Evaluation) -> None:
        if evaluation.task is not None:
            evaluation.task.cancel()
            await asyncio.gather(evaluation.task, return_exceptions=True)

    async def close(self) -> None:
        """Ends all runs; those in the data folder can go on after the next start."""
        for evaluation in self._known.values():
            await self._end(evaluation)
        if self._passing is not None:
            self._passing.cleanup()


def _but_one(lanes: int) -> int:
    return max(1, lanes - 1) if lanes else ELSEWHERE


def check_own_engine(variant: Variant) -> None:
    """Raises BadInput for a variant with an engine of its own: the page has the app's."""
    if variant.engine:
        raise BadInput(field=variant.name, reason="an engine of its own can be had with `python launch.py evaluate` alone")


def differences(first: str, second: str) -> list[tuple[str, str]]:
    """What becomes of one text to make another, word by word: ("same" | "gone" | "new", text)."""
    before, after = _WORDS.findall(first)[:WORDS_AT_MOST], _WORDS.findall(second)[:WORDS_AT_MOST]
    parts: list[tuple[str, str]] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(("same", "".join(before[i:j])))
            continue
        parts += [(name, "".join(words)) for name, words in (("gone", before[i:j]), ("new", after[k:m])) if words]
    return parts
