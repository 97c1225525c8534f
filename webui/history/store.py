"""The database: every statement that reads or writes conversations. Blocking; `keeper.py` calls it from its threads.

It knows SQLAlchemy, SQLite and PostgreSQL, and neither turns, visitors at work, nor the page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from webui.conversation import Conversation, Heading, Message, Source, Timing
from webui.errors import BadSetting, ChatNotFound, DatabaseMissing
from webui.history.migrate import migrate
from webui.history.records import Found, Record, SaveConversation, SaveMessage, SaveVote, Vote
from webui.history.tables import conversation, message, vote
from webui.history.words import searchable

BUSY_FOR = 2000  # milliseconds that SQLite waits for another program's lock
CONNECT_WITHIN = 5  # seconds
FOUND_AT_MOST = 200  # messages
TRIGRAM = 3  # characters of the shortest word that SQLite's index can find
_TIMING = tuple(f.name for f in fields(Timing))
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def database_url(text: str) -> sa.URL:
    """What --database-url says.

    Raises:
        BadSetting: if it is no address of SQLite or PostgreSQL; the text, which may hold a password, is not repeated.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise BadSetting(setting="--database-url", reason="this is no URL of a database") from None
    kind = {"postgres": "postgresql"}.get(url.drivername, url.drivername)
    if kind not in _INSERT or (kind == "sqlite" and url.database in (None, "", ":memory:")):
        raise BadSetting(setting="--database-url", reason="postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE is wanted")
    return url.set(drivername="postgresql+psycopg") if kind == "postgresql" else url


@dataclass(frozen=True, slots=True)
class Purged:
    """A conversation that was deleted for good, and whose it was."""

    conversation: str
    visitor: str


class Store:
    """One open database with the tables of this version.

    Args:
        database: the file of a SQLite database, or the URL of one or of PostgreSQL.
        create: whether a SQLite file may be made.

    Raises:
        DatabaseMissing, DatabaseTooNew, sqlalchemy.exc.SQLAlchemyError: if it cannot be opened; it is left as it was.
    """

    def __init__(self, database: Path | str, create: bool = True) -> None:
        url = sa.URL.create("sqlite", database=str(database)) if isinstance(database, Path) else database_url(database)
        self._file = Path(url.database) if url.drivername == "sqlite" and url.database else None
        if self._file is not None and not self._file.exists():
            if not create:
                raise DatabaseMissing(path=self._file)
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
        # Parameters are people's texts: they belong in no log.
        self._engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, **_options(url))
        self._insert = _INSERT[self._engine.dialect.name]
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self._writing = self._engine.execution_options(writes=True)
        try:
            with self._writing.begin() as connection:
                migrate(connection)
        except BaseException:
            self.close()
            raise
        self._inode = self._file and self._file.stat().st_ino

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    def check(self) -> None:
        """Whether it can be written: raises what stands in the way."""
        with self._transaction():
            pass

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        self._check_file()
        with self._writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        self._check_file()
        with self._engine.connect() as connection:
            yield connection

    def _check_file(self) -> None:
        """A file that was moved away would go on taking what is written, and nobody would find it."""
        if self._file is not None:
            try:
                there = self._file.stat().st_ino == self._inode
            except OSError:
                there = False
            if not there:
                raise DatabaseMissing(path=self._file)

    # Reading

    def headings(self, visitor: str) -> list[Heading]:
        """A visitor's conversations."""
        query = sa.select(conversation).where(conversation.c.visitor == visitor, conversation.c.deleted.is_(None))
        with self._reading() as connection:
            return [_heading(row) for row in connection.execute(query)]

    def conversation(self, id: str, visitor: str) -> Conversation | None:
        """A whole conversation; None if there is none of this id.

        Raises:
            ChatNotFound: if it is somebody else's, or deleted.
        """
        with self._reading() as connection:
            row = connection.execute(sa.select(conversation).where(conversation.c.id == id)).one_or_none()
            if row is None:
                return None
            if row.visitor != visitor or row.deleted is not None:
                raise ChatNotFound()
            query = sa.select(message).where(message.c.conversation == id).order_by(message.c.number, message.c.row)
            return Conversation.of(_heading(row), _messages(connection.execute(query)))

    def search(self, visitor: str, words: Sequence[str]) -> list[Found]:
        """A visitor's messages that have all the words (see `words.py`), those of the latest conversations first."""
        query = (
            sa.select(message.c.conversation, message.c.id, message.c.text)
            .join(conversation, conversation.c.id == message.c.conversation)
            .where(conversation.c.visitor == visitor, conversation.c.deleted.is_(None), self._has(words))
            .order_by(conversation.c.updated.desc(), message.c.number)
            .limit(FOUND_AT_MOST)
        )
        with self._reading() as connection:
            return [Found(row.conversation, row.id, row.text) for row in connection.execute(query)]

    def _has(self, words: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.and_(*map(self._has_word, words))

    def _has_word(self, word: str) -> sa.ColumnElement[bool]:
        if self._is_sqlite and len(word) >= TRIGRAM:
            inner = sa.text("SELECT rowid FROM message_search WHERE message_search MATCH :wanted")
            return message.c.row.in_(inner.bindparams(sa.bindparam("wanted", f'"{word}"', unique=True)))
        # A shorter one is looked for in the visitor's own messages; PostgreSQL uses its index by itself.
        return message.c.words.contains(word)

    def votes(self) -> list[Vote]:
        """Every vote, the oldest first."""
        with self._reading() as connection:
            return [Vote(**row._mapping) for row in connection.execute(sa.select(vote).order_by(vote.c.at))]

    # Writing

    def save(self, records: Sequence[Record]) -> None:
        """Writes records, all or none. What is meant for a conversation of somebody else, or a deleted one, is passed over."""
        headings = [record for record in records if isinstance(record, SaveConversation)]
        messages = [record for record in records if isinstance(record, SaveMessage)]
        votes = [_vote_row(record.vote) for record in records if isinstance(record, SaveVote)]
        with self._transaction() as connection:
            if votes:
                connection.execute(self._insert(vote).on_conflict_do_nothing(), votes)
            if headings:
                connection.execute(self._upsert_conversation, [_conversation_row(record) for record in headings])
            owners = _owners(connection, {record.conversation for record in messages})
            rows = [_message_row(record) for record in messages if owners.get(record.conversation) == record.visitor]
            if rows:
                connection.execute(self._upsert_message, rows)

    @cached_property
    def _upsert_conversation(self) -> Any:
        insert = self._insert(conversation)
        news = {name: insert.excluded[name] for name in ("title", "named", "pinned", "updated", "deleted", "choices")}
        own = conversation.c.visitor == insert.excluded.visitor
        return insert.on_conflict_do_update(index_elements=["id"], set_=news, where=own)

    @cached_property
    def _upsert_message(self) -> Any:
        insert = self._insert(message)
        fixed = {"row", "conversation", "id", "role", "created"}
        news = {column.name: insert.excluded[column.name] for column in message.c if column.name not in fixed}
        return insert.on_conflict_do_update(index_elements=["conversation", "id"], set_=news)

    def purge(self, deleted_before: float, updated_before: float | None) -> list[Purged]:
        """Deletes for good what was deleted, or last said, before these times (Unix seconds).

        Returns:
            What is gone: from the tables at once, from the index and the log with `scrub`.
        """
        old = conversation.c.deleted < deleted_before
        if updated_before is not None:
            old |= conversation.c.updated < updated_before
        with self._transaction() as connection:
            query = sa.select(conversation.c.id, conversation.c.visitor).where(old)
            gone = [Purged(row.id, row.visitor) for row in connection.execute(query)]
            for one in gone:
                # Not left to the foreign key: so the triggers of the index run whatever the settings are.
                connection.execute(sa.delete(message).where(message.c.conversation == one.conversation))
                connection.execute(sa.delete(conversation).where(conversation.c.id == one.conversation))
        return gone

    def scrub(self) -> bool:
        """Takes what was deleted out of the search index and the write-ahead log, and its place in the files.

        Returns:
            False if another connection was reading meanwhile; it has to be done again.
        """
        if not self._is_sqlite:
            with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(sa.text("VACUUM message, conversation"))
            return True
        with self._transaction() as connection:
            # FTS5 only marks words as deleted until the parts of its index are merged.
            connection.execute(sa.text("INSERT INTO message_search(message_search) VALUES ('optimize')"))
        raw = self._engine.raw_connection()
        try:
            busy = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            raw.close()
        return not busy


def _options(url: sa.URL) -> dict[str, Any]:
    if url.drivername == "sqlite":
        return {"connect_args": {"timeout": BUSY_FOR / 1000}}
    return {"connect_args": {"connect_timeout": CONNECT_WITHIN}}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy says when a transaction begins (`_begin_sqlite`); Python's module would guess, and not for every statement.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at its beginning: a reader that becomes one would not be made to wait but refused.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _owners(connection: sa.Connection, ids: set[str]) -> dict[str, str]:
    query = sa.select(conversation.c.id, conversation.c.visitor).where(conversation.c.id.in_(ids))
    return {row.id: row.visitor for row in connection.execute(query)}


def _heading(row: Any) -> Heading:
    return Heading(**{f.name: getattr(row, f.name) for f in fields(Heading)})


def _messages(rows: Iterator[Any] | sa.CursorResult[Any]) -> Iterator[Message]:
    """The messages as they were. One whose parent was lost follows the one before it, so that nothing is hidden."""
    seen: set[str] = set()
    last: str | None = None
    for row in rows:
        parent = row.parent if row.parent is None or row.parent in seen else last
        yield Message(
            role=row.role,
            text=row.text,
            parent=parent,
            id=row.id,
            created=row.created,
            end=row.end or (None if row.role == "user" else "interrupted"),
            timing=row.timing and Timing(**row.timing),
            dropped=row.dropped,
            error=row.error,
            number=row.number,
            feedback=row.feedback,
            sources=tuple(Source(**source) for source in row.sources or ()),
        )
        last = row.id
        seen.add(row.id)


def _conversation_row(record: SaveConversation) -> dict[str, Any]:
    return {**asdict(record.heading), "title": _storable(record.heading.title)}


def _message_row(record: SaveMessage) -> dict[str, Any]:
    one = record.message
    timing = one.timing and {name: getattr(one.timing, name) for name in _TIMING}
    whole = one.role == "user" or one.end is not None
    text = _storable(one.text)
    return {
        "conversation": record.conversation,
        "id": one.id,
        "parent": one.parent,
        "number": one.number,
        "role": one.role,
        "text": text,
        "created": one.created,
        "end": one.end,
        "timing": timing,
        "dropped": one.dropped,
        "error": one.error,
        "words": searchable(text) if whole else None,
        "feedback": one.feedback,
        "sources": [asdict(source) for source in one.sources] or None,
    }


def _vote_row(one: Vote) -> dict[str, Any]:
    return {**asdict(one), "prompt": _storable(one.prompt), "reason": _storable(one.reason)}


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL, and no database half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
