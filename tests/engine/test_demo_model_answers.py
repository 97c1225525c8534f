"""The model that ships, served by the app: its words are those of transformers, its conversations those that were read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.app_process import AppProcess, tab
from webui.demo_model import golden
from webui.demo_model.evaluate import ASSETS, Answer, Tokens, differing
from webui.demo_model.scoring import Case, loops, trained_cases

pytestmark = pytest.mark.engine

QUESTIONS = 200
AT_ONCE = 8
MOST_TURNS = 40
FULL = 1536  # tokens: three quarters of the context that it was trained for; the last is kept for an answer
CONVERSATIONS = golden.read(Path(__file__).parents[1] / "golden" / "conversations.json")


@pytest.mark.timeout(600)
async def test_greedy_answers_are_those_of_transformers(app: AppProcess) -> None:
    cases, tokens, room = trained_cases(QUESTIONS, seed=5), Tokens(ASSETS), asyncio.Semaphore(AT_ONCE)

    async def answer(case: Case) -> Answer:
        async with room, tab(app.url) as one:
            text = (await one.ask(case.messages[-1][1])).text
        return Answer(text, ended=True, tokens=tokens.said(text))

    answers = dict(zip(cases, await asyncio.gather(*map(answer, cases)), strict=True))
    other = differing(ASSETS, list(answers), list(answers.values()))
    # A text can be cut into tokens in several ways; where the usual one is not the likeliest, the text itself must be the same.
    respond = golden.transformers_model(ASSETS)
    assert [(case, answers[case].text) for case in other if respond(case.messages) != answers[case].text] == []


@pytest.mark.parametrize("number", range(len(CONVERSATIONS)))
async def test_a_conversation_goes_as_it_was_read(app: AppProcess, number: int) -> None:
    conversation = CONVERSATIONS[number]
    async with tab(app.url) as one:
        for turn in conversation.turns:
            answer = await one.answered(await one.send(turn.user, system=conversation.system, sampling={"temperature": 0}))
            assert answer.text == turn.assistant, turn.user


def test_there_are_ten_conversations_per_language() -> None:
    languages = [conversation.language for conversation in CONVERSATIONS]
    assert languages.count("en") == languages.count("ko") == 10
    assert all(turn.assistant for conversation in CONVERSATIONS for turn in conversation.turns)


async def test_it_stays_sane_until_its_own_context_is_full(app: AppProcess) -> None:
    wishes = ("Tell me a story", "고양이 이야기 해 줘", "What is 27 + 38?", "another story", "연속 배칭이 뭐야?")
    async with tab(app.url) as one:
        for number in range(MOST_TURNS):
            answer = await one.ask(wishes[number % len(wishes)])
            assert answer.end == "stop" and answer.text and not loops(answer.text), (number, answer.text)
            timing = answer.timing or {}
            if timing["prompt_tokens"] + timing["tokens"] > FULL:
                return
    raise AssertionError("its context was never full")
