"""The runs that were started on the page: each one's folder, and what is asked of the app's engines just now.

A run belongs to the visitor who started it. Its rows yield to everybody: they have the priority of evaluations, and one lane of
each engine is left free, so that a visitor who comes need not wait for a row to end. It does not know HTTP.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.background import in_background
from webui.engines.registry import Backend
from webui.errors import BadInput, EvaluationNotFound, EvaluationUnkept, Internal, WebuiError
from webui.evaluation.asking import Asking, MakePrompt
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.plots import plots
from webui.evaluation.prompts import Prompts, read
from webui.evaluation.provenance import engine_provenance, fingerprint
from webui.evaluation.results import Rating
from webui.evaluation.runs import Answer, Ask, Journal, Progress, Run, State
from webui.evaluation.scores import fitting
from webui.evaluation.variants import Variant

log = logging.getLogger(__name__)

SHOWN_AT_MOST = 5000  # answers that the page is sent; the reports have all
PREVIEW = 20  # rows
ELSEWHERE = 32  # rows at once, for an engine that does not say how many lanes it has
JUDGE = "judge"
_ID = re.compile(r"[0-9a-f]{16}")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
WORDS_AT_MOST = 4000  # of each of two answers whose words are compared


Find = Callable[[str], Backend]


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
        backend: finds an engine by its name; the usual one for an empty name.
        prompt: makes prompts.
        at_once: rows of all runs that may be in one engine; None: as many as it has lanes, but one.
        path: the folder for the runs' folders; None keeps them as long as the app lives.
    """

    def __init__(self, backend: Find, prompt: MakePrompt, at_once: int | None, path: Path | None) -> None:
        self._backend = backend
        self._prompt = prompt
        self._at_once = at_once
        self._passing = tempfile.TemporaryDirectory(prefix="batchat-evaluations-") if path is None else None
        self._path = path or Path(self._passing.name if self._passing else "")
        self._places: dict[Backend, asyncio.Semaphore] = {}
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
            BadInput, UnknownModel
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
            check_engine(variant, self._backend)
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
                backends = {each.name: self._backend(each.model) for each in plan.variants}
                if plan.judge is not None:
                    backends[JUDGE] = self._backend(plan.judge.variant.model)
                folder.engines = {name: await _provenance(backend) for name, backend in backends.items()}
                folder.save()
                models = {name: engine["fingerprint"] for name, engine in folder.engines.items()}
                asks = [ask for each in plan.variants for ask in plan.asks(folder.prompts.rows, each, models[each.name])]
                if await self._ask(evaluation, asks, journal, backends) and plan.judge is not None:
                    await self._ask(evaluation, folder.judge_asks(), journal, backends)
        except WebuiError as error:
            _fail(evaluation, error)
        except OSError as error:
            _fail(evaluation, EvaluationUnkept(reason=error.strerror or error))
        except Exception:
            log.exception("An evaluation failed.")
            _fail(evaluation, Internal())
        finally:
            evaluation.run = None

    async def _ask(
        self, evaluation: Evaluation, asks: Sequence[Ask], journal: Journal, backends: Mapping[str, Backend]
    ) -> bool:
        """Whether all of them were asked, each of its variant's engine or the judge's, and it was not cancelled meanwhile."""
        plan = evaluation.folder.plan

        async def one(ask: Ask) -> Answer:
            return await self._one(ask, backends[ask.about.get("variant", JUDGE)])

        evaluation.run = Run(asks, journal, one, plan.concurrency, plan.warm_up)
        await evaluation.run.run()
        return evaluation.run.state == "finished"

    async def _one(self, ask: Ask, backend: Backend) -> Answer:
        async with await self._place(backend):
            return await Asking(backend.supervisor, backend.board, self._prompt)(ask)

    async def _place(self, backend: Backend) -> asyncio.Semaphore:
        """What lets so many rows of all runs into an engine at once."""
        lanes = (await backend.supervisor.ready()).info.lanes
        return self._places.setdefault(backend, asyncio.Semaphore(self._at_once or _but_one(lanes)))

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


def _fail(evaluation: Evaluation, error: WebuiError) -> None:
    error.write_to(log, "an evaluation")
    evaluation.error = error.as_dict()


async def _provenance(backend: Backend) -> dict[str, Any]:
    """Where an engine's answers come from, once it is ready."""
    info = (await backend.supervisor.ready()).info
    return engine_provenance(info, await in_background(lambda: fingerprint(backend.settings)))


def check_engine(variant: Variant, backend: Find) -> None:
    """Whether a variant's engine is one of the app's.

    Raises:
        BadInput: for one with settings of its own.
        UnknownModel
    """
    if variant.engine:
        raise BadInput(field=variant.name, reason="an engine of its own can be had with `python launch.py evaluate` alone")
    backend(variant.model)


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
