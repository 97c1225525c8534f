"""What goes wrong bears an id that stands in the log too, and the log has no words of a person's."""

from __future__ import annotations

import logging

import pytest

from tests.told_engine import World
from webui import errors
from webui.conversation import Sampling
from webui.errors import (
    BadInput,
    BadSetting,
    CannotContinue,
    EngineFailed,
    EngineNotReady,
    EngineRestarting,
    Internal,
    MessageTooLong,
    NoApiHere,
    QueueFull,
    Refusal,
    ShuttingDown,
    WebuiError,
)

log = logging.getLogger("test")

NEVER = (CannotContinue, NoApiHere)  # 501


def every_kind() -> list[type[WebuiError]]:
    """The errors that have a sentence of their own."""
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and "sentence" in vars(kind)]


def test_the_log_has_the_id_and_the_servers_own_words(caplog: pytest.LogCaptureFixture) -> None:
    error = EngineFailed(reason="no memory")
    error.write_to(log, "an answer")
    assert caplog.messages == [f"Error {error.id}, an answer: The engine could not start: no memory"]
    assert error.as_dict()["id"] == error.id != EngineFailed(reason="no memory").id


def test_a_refusal_bears_no_id_and_repeats_nobodys_words_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    error = BadInput(field="stop", reason="canary7731 is no text")
    error.write_to(log, "POST /api")
    assert caplog.messages == ["Refused, POST /api: bad_input"]
    assert error.as_dict() == {"code": "bad_input", "message": str(error), "params": error.params}


@pytest.mark.parametrize("kind", every_kind(), ids=lambda kind: kind.code)
def test_whoever_asked_can_mend_what_has_a_status_of_theirs(kind: type[WebuiError]) -> None:
    can = kind in NEVER or (kind.http_status < 500 and kind not in (BadSetting, MessageTooLong))
    assert issubclass(kind, Refusal) == can
    assert not (issubclass(kind, Refusal) and kind.passing), "what is tried again by itself is the operator's"


@pytest.mark.parametrize("kind", [EngineNotReady, EngineRestarting, QueueFull, ShuttingDown, MessageTooLong])
def test_that_it_is_starting_busy_or_full_bears_an_id(kind: type[WebuiError]) -> None:
    assert not issubclass(kind, Refusal)


async def test_an_answer_that_fails_says_the_id_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    async with World(None) as world:
        chat = await world.opened("me")

        def fail(*_: object) -> None:
            raise ValueError("canary7732")

        world.engine.generate = fail  # type: ignore[assignment]
        await world.chats.send(chat, "Hello", "", Sampling())
        turn = chat.turn
        assert turn is not None
        await turn.wait()
    error = chat.conversation.path()[-1].error
    assert error is not None and error["code"] == Internal.code
    assert f"Error {error['id']}, an answer" in caplog.text and "canary7732" not in error["message"]
