"""A run: many questions to an engine, so many at once, each answer written down as it comes.

What was answered is a line of the journal, found again by a hash of everything that was asked; so a run that was killed goes on
where it was. What could not be answered is written down with its reason, and asked again when the run is taken up again.

It does not know who answers, nor what becomes of the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from webui.batch.rates import SlidingSum
from webui.batch.request import Request
from webui.conversation import End, Role, Sampling
from webui.errors import BadInput, WebuiError

try:
    import fcntl
except ImportError:  # Windows: nothing there keeps two runs out of one folder
    fcntl = None  # type: ignore[assignment]

State = Literal["waiting", "running", "paused", "cancelled", "failed", "finished"]

WARM_UP_SHARE = 4  # a quarter of the answers at most, so that of few there are still latencies
RATE_WINDOW = 30.0  # seconds over which answers per second are counted
TIMES = ("queued", "scheduled", "first", "last", "ended", "worst_itl", "prompt_tokens", "tokens", "split")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question.

    Attributes:
        about: what it is a question of, such as its row, variant and repeat; JSON types.
        engine: what tells the engine from others, such as the hash of its model.
    """

    about: Mapping[str, Any]
    messages: tuple[tuple[Role, str], ...]
    system: str
    sampling: Sampling
    engine: str = ""

    @property
    def key(self) -> str:
        """The same for the same question, in whatever process."""
        said = [dict(self.about), self.messages, self.system, self.sampling.as_dict(), self.engine]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(slots=True)
class Answer:
    """What came of a question.

    Attributes:
        key, about: the question's.
        end: how it ended; None if there was no answer.
        error: why there was none (see `WebuiError.as_dict`).
        times: the engine's times (seconds of its clock) and counts, by the names in TIMES; None if it told none.
        session: another one each time that the run is taken up: times of two do not belong to one clock.
        warm_up: whether it was among the first of its variant in this session: it says nothing of latencies.
        at: when, in Unix seconds.
    """

    key: str
    about: Mapping[str, Any]
    text: str = ""
    end: End | None = None
    error: dict[str, Any] | None = None
    times: dict[str, Any] | None = None
    session: str = ""
    warm_up: bool = False
    at: float = field(default_factory=time.time)

    @property
    def answered(self) -> bool:
        """Whether it came to an end of its own."""
        return self.error is None and self.end in ("stop", "length")

    def request(self) -> Request | None:
        """Its life in the engine."""
        if self.times is None:
            return None
        return Request(0, "evaluation", end=self.end or "failed", **self.times)


def times_of(request: Request) -> dict[str, Any]:
    """What an answer keeps of a request."""
    return {name: getattr(request, name) for name in TIMES}


class Journal:
    """The file of answers. Open, it belongs to one run alone.

    Args:
        path: made if it is not there.

    Raises:
        BadInput: if another run writes there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise BadInput(field=str(path.parent), reason="another run is writing there") from None
        self.answers = {answer.key: answer for answer in read_journal(path)}
        self._mend()

    def _mend(self) -> None:
        """A line that was cut short by the end of the process must not spoil the next one."""
        size = self._file.seek(0, 2)
        if size:
            self._file.seek(size - 1)
            if self._file.read(1) != b"\n":
                self._write(b"\n")

    def has(self, ask: Ask) -> bool:
        """Whether this was answered."""
        answer = self.answers.get(ask.key)
        return answer is not None and answer.answered

    def add(self, answer: Answer) -> None:
        """Writes an answer down.

        Raises:
            OSError
        """
        self._write(orjson.dumps(asdict(answer)) + b"\n")
        self.answers[answer.key] = answer

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Lets others in."""
        self._file.close()


def read_journal(path: Path) -> Iterator[Answer]:
    """The answers in a journal, in the order in which they came; a later one of the same key counts."""
    names = {f.name for f in fields(Answer)}
    with contextlib.suppress(FileNotFoundError), path.open("rb") as lines:
        for line in lines:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # the process was killed in the midst of it
            if isinstance(record, dict) and "key" in record:
                yield Answer(**{name: value for name, value in record.items() if name in names})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        total: questions in all.
        kept: answered before this session began.
        done: answered by now, the kept ones too.
        failed: not answered, though asked, in this session.
        rate: answers per second, over RATE_WINDOW; None while it is not known.
        eta: seconds that it will take about.
    """

    state: State
    total: int
    kept: int
    done: int
    failed: int
    rate: float | None
    eta: float | None


class Run:
    """Asks what has not been answered yet.

    Args:
        asks: everything that is to be answered, in the order of asking.
        journal: knows what was answered, and gets what is.
        ask: answers one; raises if there is nobody who could answer any.
        concurrency: questions on their way at once.
        warm_up: how many of each variant's first answers say nothing of latencies.
        on_change: called whenever `progress` has changed.
    """

    def __init__(
        self,
        asks: Sequence[Ask],
        journal: Journal,
        ask: Callable[[Ask], Awaitable[Answer]],
        concurrency: int,
        warm_up: int = 0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.state: State = "waiting"
        self.error: dict[str, Any] | None = None
        self._journal = journal
        self._ask = ask
        self._concurrency = concurrency
        self._on_change = on_change
        self._session = secrets.token_hex(4)
        self._total = len(asks)
        self._open = [each for each in asks if not journal.has(each)]
        self._warming = self._first_of_each(warm_up)
        self._kept = self._done = self._total - len(self._open)
        self._failed = 0
        self._rate = SlidingSum(RATE_WINDOW, 30)
        self._began = time.monotonic()
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._workers: list[asyncio.Task[None]] = []

    def _first_of_each(self, count: int) -> set[str]:
        """The keys of each variant's first questions."""
        return {ask.key for group in self._groups() for ask in group[: min(count, len(group) // WARM_UP_SHARE)]}

    @property
    def progress(self) -> Progress:
        """How far it is."""
        now = time.monotonic()
        seconds = min(RATE_WINDOW, max(1.0, now - self._began))
        rate = self._rate.total(now) / seconds if self.state == "running" else None
        left = self._total - self._done - self._failed
        eta = left / rate if rate else None
        return Progress(self.state, self._total, self._kept, self._done, self._failed, rate, eta)

    async def run(self) -> None:
        """Comes back when everything has been asked, or the run was cancelled, or nobody answers any more.

        Raises:
            WebuiError, OSError: why it cannot go on; what was answered is kept.
        """
        if self.state == "waiting":
            self._to("running")
        self._began = time.monotonic()
        try:
            for questions in self._groups():
                if self.state != "cancelled":  # between two groups nobody is there to be cancelled
                    await self._ask_all(questions)
        except asyncio.CancelledError:
            await self._end_workers()
            if self.state != "cancelled":
                self._to("cancelled")
                raise
        except Exception as error:
            self.error = error.as_dict() if isinstance(error, WebuiError) else {"message": str(error)}
            await self._end_workers()
            self._to("failed")
            raise
        if self.state != "cancelled":
            self._to("finished")

    def _groups(self) -> list[list[Ask]]:
        """Each variant's questions: asked together, one variant's would wait in line behind another's."""
        groups: dict[str, list[Ask]] = {}
        for ask in self._open:
            groups.setdefault(str(ask.about.get("variant")), []).append(ask)
        return list(groups.values())

    async def _ask_all(self, questions: list[Ask]) -> None:
        left = iter(questions)
        self._workers = [asyncio.create_task(self._work(left)) for _ in range(min(self._concurrency, len(questions)))]
        await asyncio.gather(*self._workers)

    async def _work(self, questions: Iterator[Ask]) -> None:
        await self._may_go_on.wait()
        for question in questions:
            answer = await self._ask(question)
            answer.session, answer.warm_up = self._session, question.key in self._warming
            self._journal.add(answer)
            self._done += answer.answered
            self._failed += not answer.answered
            self._rate.add(1, time.monotonic())
            self._on_change()
            await self._may_go_on.wait()

    def pause(self) -> None:
        """Asks nothing more for now; what is on its way is answered."""
        if self.state in ("waiting", "running"):
            self._may_go_on.clear()
            self._to("paused")

    def resume(self) -> None:
        """Goes on."""
        if self.state == "paused":
            self._began = time.monotonic()
            self._may_go_on.set()
            self._to("running")

    def cancel(self) -> None:
        """Ends it at once; what is on its way leaves its lane."""
        if self.state in ("waiting", "running", "paused"):
            self._to("cancelled")
            for worker in self._workers:
                worker.cancel()

    async def _end_workers(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _to(self, state: State) -> None:
        self.state = state
        self._on_change()
