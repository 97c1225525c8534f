"""Users, passwords, sessions and failed attempts, without a server."""

from __future__ import annotations

import io
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.told_app import HASH, PASSWORD, users_file
from webui.accounts import add_user
from webui.accounts.attempts import AT_MOST_OF_ADDRESS, AT_MOST_OF_BOTH, AT_MOST_OF_NAME, REMEMBERED, WINDOW, Attempts
from webui.accounts.ended import EndedSessions
from webui.accounts.passwords import Passwords, hash_password, is_hash
from webui.accounts.sessions import Session, Sessions
from webui.accounts.users import Users, plain_name, read_users
from webui.errors import BadSetting, TooManyAttempts

OTHER_HASH = hash_password("another password")
DAY = 86400.0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, typed: str = f"{PASSWORD}\n") -> int:
    """The command with this on its standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    return add_user.main(arguments)


# add-user


def test_a_user_is_added_with_a_hash_and_nobody_else_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "users.toml"
    assert run(monkeypatch, "--auth", str(path), "Alice") == 0
    assert run(monkeypatch, "--auth", str(path), "민수") == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    hashes = read_users(path)
    assert list(hashes) == ["alice", "민수"] and all(hash.startswith("$argon2id$") for hash in hashes.values())
    assert argon2.PasswordHasher().verify(hashes["alice"], PASSWORD)
    shown = capsys.readouterr()
    assert PASSWORD not in path.read_text() + shown.out + shown.err and "$argon2" not in shown.out + shown.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["users.toml"]


def test_a_password_is_changed_only_when_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    path = users_file(tmp_path, Alice=HASH)
    assert run(monkeypatch, "--auth", str(path), "ALICE", typed="new password\n") == 1
    assert read_users(path) == {"alice": HASH} and "--change-password" in capsys.readouterr().err
    assert run(monkeypatch, "--auth", str(path), "alice", "--change-password", typed="new password\n") == 0
    assert argon2.PasswordHasher().verify(read_users(path)["alice"], "new password")
    assert run(monkeypatch, "--auth", str(path), "bob", "--change-password") == 1
    assert list(read_users(path)) == ["alice"]


def test_what_else_stands_in_the_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = f'# our people\n[users]\nbob = "{HASH}"  # of the laboratory\n'
    real = tmp_path / "real.toml"
    real.write_text(kept)
    path = tmp_path / "users.toml"
    path.symlink_to(real)
    assert run(monkeypatch, "--auth", str(path), "alice") == 0
    assert path.is_symlink() and real.read_text().startswith(kept) and list(read_users(real)) == ["bob", "alice"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = users_file(tmp_path, alice=HASH)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    assert run(monkeypatch, "--auth", str(path), "bob") == 1
    assert path.read_bytes() == before and "No space left" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["users.toml"]


@pytest.mark.parametrize(
    ("name", "typed"), [("alice", "short\n"), ("alice", ""), ("alice", "x" * 2000), ("a b", f"{PASSWORD}\n"), ("", "")]
)
def test_what_is_no_name_or_password_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, typed: str) -> None:
    path = tmp_path / "users.toml"
    assert run(monkeypatch, "--auth", str(path), name, typed=typed) == 1 and not path.exists()


@pytest.mark.parametrize(("second", "status"), [(PASSWORD, 0), ("correct horse batter", 1)])
def test_at_a_terminal_the_password_is_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str, status: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    answers = [PASSWORD, second]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
    path = tmp_path / "users.toml"
    assert add_user.main(["--auth", str(path), "alice"]) == status
    assert answers == [] and path.exists() == (status == 0)


# the file


def test_the_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = users_file(tmp_path, alice=HASH)
    users = Users(str(path))
    assert users.hash_of("alice") == HASH and users.hash_of("bob") is None
    users_file(tmp_path, alice=OTHER_HASH, bob=HASH)
    assert users.hash_of("alice") == OTHER_HASH and users.hash_of("bob") == HASH
    for broken in (lambda: path.write_text(f'[users]\nalice = "{HASH}'), path.unlink):
        broken()
        assert users.hash_of("alice") == OTHER_HASH, "those that were read before stay"
    assert "not valid TOML" in caplog.text and HASH not in caplog.text
    users_file(tmp_path, bob=HASH)
    assert users.hash_of("alice") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no user"),
        ("users = 3", "a table"),
        ('[people]\nalice = "x"', "a table"),
        ('[users]\nalice = "plain text password"', "no argon2 hash"),
        ("[users]\nalice = 3", "no argon2 hash"),
        (f'[users]\n"a b" = "{HASH}"', "no name"),
        (f'[users]\nalice = "{HASH}"\nAlice = "{HASH}"', "twice"),
        (f'[users]\nalice = "{HASH}', "not valid TOML"),
        (None, "is not there"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_without_its_secrets(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "users.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadSetting, match="--auth") as error:
        Users(str(path))
    assert said in str(error.value) and HASH not in str(error.value) and "plain text password" not in str(error.value)


@given(st.text(max_size=80))
def test_a_name_is_plain_or_none(text: str) -> None:
    plain = plain_name(text)
    assert plain is None or (plain_name(plain) == plain == plain_name(plain.upper().lower()) and len(plain) <= 64)


# passwords


async def test_a_user_who_is_not_there_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[argon2.Parameters] = []
    verify = argon2.PasswordHasher.verify

    def watched(self: argon2.PasswordHasher, hash: str, password: str) -> bool:
        compared.append(argon2.extract_parameters(hash))
        return verify(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    passwords = Passwords()
    assert await passwords.match(PASSWORD, HASH)
    assert not await passwords.match("wrong password", HASH)
    assert not await passwords.match(PASSWORD, None)
    assert len(compared) == 3 and len(set(map(repr, compared))) == 1


async def test_hangul_is_the_same_from_every_keyboard() -> None:
    assert await Passwords().match("\u1112\u1161\u11ab\u1100\u1173\u11af password", hash_password("한글 password"))


@pytest.mark.parametrize("text", ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", HASH[:40]])
def test_what_is_no_hash(text: str) -> None:
    assert is_hash(HASH) and not is_hash(text)


# sessions


def sessions(tmp_path: Path, key: bytes | None = b"k" * 32, lifetime: float = 14 * DAY) -> Sessions:
    users = Users(str(users_file(tmp_path, **{"alice": HASH, "민수": HASH})))
    return Sessions(key, users, EndedSessions(tmp_path / "ended"), lifetime)


@pytest.mark.parametrize("name", ["alice", "민수"])
def test_a_session_is_read_until_it_expires(tmp_path: Path, name: str) -> None:
    some = sessions(tmp_path)
    session = some.begin(name, HASH, 1000.9)
    value = some.write(session)
    assert some.read(value, 1000.0) == some.read(value, 1000 + 14 * DAY - 1) == session
    assert some.read(value, 1000 + 14 * DAY) is None and not some.holds(session, 1000 + 14 * DAY)
    assert HASH not in repr(session) + value and session.id not in repr(session)


def test_a_session_in_use_is_renewed_and_stays_the_same_one(tmp_path: Path) -> None:
    some = sessions(tmp_path)
    session = some.begin("alice", HASH, 0)
    assert some.renewed(session, DAY) is None
    renewed = some.renewed(session, 10 * DAY)
    assert renewed is not None and some.read(some.write(renewed), 20 * DAY) == renewed
    some.end(renewed, 20 * DAY)
    assert some.read(some.write(session), 1.0) is None, "ending one value ends the session"


def test_another_password_or_key_ends_it(tmp_path: Path) -> None:
    some = sessions(tmp_path)
    session = some.begin("alice", HASH, 0)
    value = some.write(session)
    assert sessions(tmp_path).read(value, 1.0) == session, "a restart does not"
    assert sessions(tmp_path, b"l" * 32).read(value, 1.0) is None
    assert sessions(tmp_path, None).read(value, 1.0) is None
    users_file(tmp_path, alice=OTHER_HASH)
    assert some.read(value, 1.0) is None and not some.holds(session, 1.0)
    users_file(tmp_path, bob=HASH)
    assert some.read(value, 1.0) is None and not some.holds(session, 1.0)


def test_a_session_that_was_ended_stays_so_after_a_restart_and_in_another_app(tmp_path: Path) -> None:
    some, beside = sessions(tmp_path), sessions(tmp_path)
    session, other = some.begin("alice", HASH, 0), some.begin("alice", HASH, 0)
    assert beside.holds(session, 1.0)
    some.end(session, 1.0)
    for each in (beside, sessions(tmp_path)):
        assert each.read(some.write(session), 2.0) is None and not each.holds(session, 2.0)
        assert each.read(some.write(other), 2.0) == other


def test_that_a_session_was_ended_is_forgotten_once_it_has_expired(tmp_path: Path) -> None:
    some = sessions(tmp_path, lifetime=DAY)
    for day in range(10):
        some.end(some.begin("alice", HASH, day * DAY), day * DAY)
    assert len(list((tmp_path / "ended").iterdir())) == 1


def test_a_session_is_ended_also_where_nothing_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ended").write_text("no folder")
    some = sessions(tmp_path)
    session = some.begin("alice", HASH, 0)
    some.end(session, 1.0)
    assert some.read(some.write(session), 2.0) is None
    assert "cannot be written" in caplog.text and session.id not in caplog.text


@given(st.text(alphabet="abcdefABCDEF0123456789._-=", max_size=200), st.integers(0, 200))
def test_a_value_that_was_not_written_here_is_nothing(text: str, at: int) -> None:
    class Everybody:
        def hash_of(self, name: str) -> str:
            return HASH

    some = Sessions(b"k" * 32, Everybody(), EndedSessions(None), DAY)  # type: ignore[arg-type]
    value = some.write(Session("alice", "A" * 22, 0, HASH))
    assert some.read(text, 1.0) is None
    changed = value[:at] + text + value[at + len(text) :]
    assert changed == value or some.read(changed, 1.0) is None


# attempts


def tried(attempts: Attempts, address: str, name: str, now: float = 0.0) -> bool:
    try:
        attempts.begin(address, name, now)
    except TooManyAttempts as error:
        assert 0 < error.params["minutes"] <= WINDOW / 60
        return False
    return True


def test_one_name_from_one_address_has_few_attempts() -> None:
    attempts = Attempts()
    assert [tried(attempts, "10.0.0.1", "alice") for _ in range(AT_MOST_OF_BOTH + 2)] == [True] * AT_MOST_OF_BOTH + [False] * 2
    assert tried(attempts, "10.0.0.2", "alice") and tried(attempts, "10.0.0.1", "bob")
    assert not tried(attempts, "10.0.0.1", "alice", WINDOW - 1) and tried(attempts, "10.0.0.1", "alice", WINDOW)


def test_many_names_from_one_network_have_few_and_so_has_one_name_from_many() -> None:
    attempts = Attempts()
    from_one = [tried(attempts, f"2001:db8::{index:x}", f"name{index}") for index in range(AT_MOST_OF_ADDRESS + 1)]
    assert from_one == [True] * AT_MOST_OF_ADDRESS + [False] and tried(attempts, "2001:db8:0:1::1", "name")
    of_one = [tried(attempts, f"10.0.{index}.1", "alice") for index in range(AT_MOST_OF_NAME + 1)]
    assert of_one == [True] * AT_MOST_OF_NAME + [False]


def test_whoever_knows_the_password_may_log_in_as_often_as_they_like() -> None:
    attempts = Attempts()
    for _ in range(3 * AT_MOST_OF_NAME):
        assert tried(attempts, "10.0.0.1", "alice") and tried(attempts, "10.0.0.1", "alice")
        attempts.was_right("10.0.0.1", "alice")
        attempts.was_right("10.0.0.1", "alice")
    assert not attempts._failed


def test_what_is_remembered_is_bounded() -> None:
    attempts = Attempts()
    for index in range(REMEMBERED):
        tried(attempts, f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", f"name{index}")
    assert len(attempts._failed) <= REMEMBERED


@given(st.lists(st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from("ab"), st.floats(0, 500)), max_size=60))
def test_no_window_has_more_failed_attempts_than_are_allowed(trials: list[tuple[str, str, float]]) -> None:
    attempts, now, let = Attempts(), 0.0, []
    for address, name, pause in trials:
        now += pause
        if tried(attempts, address, name, now):
            let.append((address, name, now))
    for address, name, end in let:
        within = [one for one in let if one[:2] == (address, name) and end - WINDOW < one[2] <= end]
        assert len(within) <= AT_MOST_OF_BOTH


def test_nothing_of_it_logs_a_password(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    path = users_file(tmp_path, alice=HASH)
    path.chmod(0o644)
    Users(str(path))
    assert "chmod 600" in caplog.text and HASH not in caplog.text
