"""Keeps conversations: takes records without waiting, writes them in order in a thread of its own, reads them in others.

While the database cannot be written (no room on the disk, locked, missing) the records wait here, everybody is told, and it is
tried again until it works; nothing that was kept before is touched. It knows neither tables nor turns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from webui.conversation import Conversation, Heading
from webui.errors import HistoryUnavailable, WebuiError
from webui.history.records import Found, Record, Vote

if TYPE_CHECKING:  # SQLAlchemy is imported by the thread: the page is there before it
    from webui.history.store import Purged, Store

log = logging.getLogger(__name__)

State = Literal["off", "starting", "keeping", "failing"]
Result = TypeVar("Result")

UNDO_WITHIN = 10.0  # seconds in which a deleted conversation can be brought back
GATHER_FOR = 0.1  # seconds in which records come together into one transaction …
BLOCK_WAITS = 1.0  # … and in which an answer that grows waits for them, but not beyond its next block
PENDING_AT_MOST = 50_000  # records that wait for the database
BATCH = 500  # records in one transaction
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between tries
LOOK_FOR_OLD_EVERY = 3600.0  # seconds
SCRUB_AGAIN_AFTER = 5.0  # seconds, if somebody was reading
READERS = 2  # threads
DAY = 24 * 3600.0  # seconds
NEVER = float("inf")


class History:
    """Conversations that outlive the process.

    Args:
        database: the file of a SQLite database, or a URL; None keeps nothing.
        keep_days: after how many days without a word a conversation is deleted; None for never.
        on_change: called in the event loop when `state` has changed.
        on_purged: called there with what was deleted for good.
    """

    def __init__(
        self,
        database: Path | str | None,
        keep_days: float | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_purged: Callable[[list[Purged]], None] = lambda purged: None,
    ) -> None:
        self.state: State = "off" if database is None else "starting"
        self.lost = 0  # records for which there was no room
        self.on_change = on_change
        self.on_purged = on_purged
        self._database = database
        self._keep_days = keep_days
        self._pending: dict[tuple[str, str], Record] = {}
        self._waiting: Counter[str] = Counter()  # visitor -> records of theirs that are not written yet
        self._write_at = NEVER
        self._changed = threading.Condition()
        self._store: Store | None = None
        self._existed = False
        self._tried = threading.Event()
        self._closing = False
        self._doubtful = False
        self._purge_at = time.monotonic()
        self._last_undo_over = 0.0  # when the latest deletion can no longer be undone
        self._scrub_at = NEVER
        self._readers = ThreadPoolExecutor(READERS, "history reader")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Opens the database behind the scenes; to be called in the event loop."""
        self._loop = asyncio.get_running_loop()
        if self._database is not None:
            self._thread = threading.Thread(target=self._run, name="history", daemon=True)
            self._thread.start()

    # Writing

    def put(self, record: Record) -> None:
        """Takes a record; an earlier one of the same thing that is not written yet is replaced. Never waits."""
        if self.state == "off":
            return
        with self._changed:
            new = record.key not in self._pending
            if new:
                if len(self._pending) >= PENDING_AT_MOST:
                    self.lost += 1
                    return
                self._waiting[record.visitor] += 1
            self._pending[record.key] = record
            write_at = time.monotonic() + (BLOCK_WAITS if new and record.grows else GATHER_FOR)
            if write_at < self._write_at:
                self._write_at = write_at
                self._changed.notify()

    async def room(self, records: int) -> None:
        """Lets others go on, and waits until the database has caught up enough to take so many records; not while it fails."""
        await asyncio.sleep(0)
        while self.state == "keeping" and self._pending and len(self._pending) + records > PENDING_AT_MOST // 2:
            await asyncio.sleep(GATHER_FOR)

    def purge_soon(self) -> None:
        """A conversation was marked as deleted: it goes for good when it can no longer be brought back."""
        with self._changed:
            self._last_undo_over = time.monotonic() + UNDO_WITHIN + 1
            self._purge_at = min(self._purge_at, self._last_undo_over)
            self._changed.notify()

    def is_behind(self, visitor: str) -> bool:
        """Whether something of this visitor's is not written yet, so that only memory has it."""
        return self._waiting[visitor] > 0

    async def close(self, within: float = 5.0) -> None:
        """Writes what is left, for as long as there is time, and closes the database."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            deadline = time.monotonic() + within
            while self._thread.is_alive() and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            if self._pending:
                log.error("%d records of conversations could not be kept.", len(self._pending))
        self._readers.shutdown(wait=False, cancel_futures=True)

    # Reading

    async def headings(self, visitor: str) -> list[Heading]:
        """A visitor's conversations.

        Raises:
            HistoryUnavailable
        """
        return [] if self.state == "off" else await self._read(lambda store: store.headings(visitor))

    async def conversation(self, id: str, visitor: str) -> Conversation | None:
        """A whole conversation; None if there is none of this id.

        Raises:
            ChatNotFound: if it is somebody else's.
            HistoryUnavailable
        """
        return None if self.state == "off" else await self._read(lambda store: store.conversation(id, visitor))

    async def search(self, visitor: str, words: list[str]) -> list[Found]:
        """A visitor's messages that have all the words.

        Raises:
            HistoryUnavailable
        """
        return await self._read(lambda store: store.search(visitor, words))

    async def votes(self) -> list[Vote]:
        """Every vote, the oldest first.

        Raises:
            HistoryUnavailable
        """
        return [] if self.state == "off" else await self._read(lambda store: store.votes())

    async def _read(self, function: Callable[[Store], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_now, function)

    def _read_now(self, function: Callable[[Store], Result]) -> Result:
        self._tried.wait()
        store = self._store
        if store is None:
            raise HistoryUnavailable()
        try:
            return function(store)
        except WebuiError as error:
            if error.http_status == 404:
                raise
            self._doubt(error)
        except Exception as error:
            self._doubt(error)
        raise HistoryUnavailable()

    def _doubt(self, error: Exception) -> None:
        log.warning("Conversations cannot be read: %s", error)
        with self._changed:
            self._doubtful = True
            self._changed.notify()

    # The thread

    def _run(self) -> None:
        tries = 0
        while True:
            try:
                if self._wait_for_work():
                    self._work()
                elif self._closing:
                    break
                self._set_state("keeping")
                tries = 0
            except Exception as error:
                self._fail(error)
                if self._closing and tries:
                    break
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, BACK_OFF[min(tries, len(BACK_OFF) - 1)])
                tries += 1
        if self._store is not None:
            self._store.close()

    def _wait_for_work(self) -> bool:
        """Whether there is something to do; False if the time has come to look or to end."""
        with self._changed:
            while not (self._closing or self._doubtful or self._store is None):
                wait = min(self._write_at, self._purge_at, self._scrub_at) - time.monotonic()
                if wait <= 0:
                    return True
                self._changed.wait(wait)
            return bool(self._pending or self._doubtful or self._store is None)

    def _work(self) -> None:
        store = self._open()
        if self._doubtful:
            store.check()
            self._doubtful = False
        self._write(store)
        now = time.monotonic()
        if self._purge_at <= now and not self._pending:
            self._purge(store)
        if self._scrub_at <= now:
            self._scrub_at = NEVER if store.scrub() else now + SCRUB_AGAIN_AFTER

    def _open(self) -> Store:
        if self._store is None:
            from webui.history.store import Store

            assert self._database is not None
            self._store = Store(self._database, create=not self._existed)
            self._existed = True
            self._tried.set()
        return self._store

    def _write(self, store: Store) -> None:
        while batch := self._next_batch():
            try:
                store.save(batch)
            except Exception as error:
                if not _is_about_a_record(error):
                    raise
                self._write_each(store, batch)
            self._written(batch)

    def _next_batch(self) -> list[Record]:
        with self._changed:
            return [record for record, _ in zip(self._pending.values(), range(BATCH), strict=False)]

    def _write_each(self, store: Store, batch: list[Record]) -> None:
        """One record that the database will never take must not keep the others out."""
        for record in batch:
            try:
                store.save([record])
            except Exception as error:
                if not _is_about_a_record(error):
                    raise
                log.error("A record of conversation %s cannot be kept: %s", record.key[0], error)

    def _written(self, batch: list[Record]) -> None:
        with self._changed:
            for record in batch:
                if self._pending.get(record.key) is record:  # else a newer one came meanwhile
                    del self._pending[record.key]
                    self._waiting[record.visitor] -= 1
            self._waiting = +self._waiting
            if not self._pending:
                self._write_at = NEVER

    def _purge(self, store: Store) -> None:
        began, now = time.monotonic(), time.time()
        purged = store.purge(now - UNDO_WITHIN, None if self._keep_days is None else now - self._keep_days * DAY)
        with self._changed:
            later = self._last_undo_over  # of what was deleted since, it may be too early now
            self._purge_at = later if later > began else time.monotonic() + LOOK_FOR_OLD_EVERY
        if purged:
            self._scrub_at = time.monotonic()
            self._tell(lambda: self.on_purged(purged))

    def _fail(self, error: Exception) -> None:
        if self.state != "failing":
            log.error("Conversations are not kept until this is mended: %s", error)
        if self._store is not None:
            self._store.close()
            self._store = None
        self._set_state("failing")
        self._tried.set()

    def _set_state(self, state: State) -> None:
        if self.state != state:
            if self.state == "failing":
                log.info("Conversations are kept again.")
            self.state = state
            self._tell(self.on_change)

    def _tell(self, function: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)


def _is_about_a_record(error: Exception) -> bool:
    """Whether the database refused what was to be written, rather than writing as such."""
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

    unfit = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    return unfit or isinstance(error, DataError | IntegrityError | ValueError | TypeError)
