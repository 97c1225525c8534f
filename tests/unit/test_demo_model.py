"""The demo model's corpus, tokenizer, training and shipped folder, without an engine and without long training."""

import dataclasses
import json
import random
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.demo_model import evaluate, golden, training
from webui.demo_model.corpus import Library, numbers
from webui.demo_model.corpus.dialogue import DialogueMaker
from webui.demo_model.corpus.library import LANGUAGES, Language
from webui.demo_model.corpus.noise import noisy, reworded
from webui.demo_model.corpus.phrasing import choose, ends_in_consonant, fill, matcher, normalised, with_particle
from webui.demo_model.corpus.stories import Wish, made_up_creature
from webui.demo_model.scoring import (
    CONVERSATION_SKILLS,
    LONGEST_CONVERSATION,
    Messages,
    Rule,
    conversation_cases,
    held_out_cases,
    long_cases,
    loops,
    rule_for,
    trained_cases,
)
from webui.demo_model.tokenizer import CHAT_TEMPLATE

ASSETS = evaluate.ASSETS
SEEDS = st.integers(min_value=0)
LARGEST_FOLDER = 30_000_000
TUTORIAL = ("What is the first letter of English alphabets?", "What is the last letter of English alphabets?")


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


@pytest.fixture(scope="module")
def maker(library: Library) -> DialogueMaker:
    return DialogueMaker(library)


# Phrasing


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("서울", "은", "서울은"),
        ("도쿄", "은", "도쿄는"),
        ("LLM", "이", "LLM이"),
        ("NPU", "이", "NPU가"),
        ("7", "을", "7을"),
        ("Batchat", "은", "Batchat은"),
        ("워싱턴 D.C.", "이에", "워싱턴 D.C.예"),
    ],
)
def test_particles_fit_the_sound(word: str, particle: str, expected: str) -> None:
    assert with_particle(word, particle) == expected


def test_a_word_without_letters_has_no_final_consonant() -> None:
    assert not ends_in_consonant("?!")


def test_choices_nest_and_slots_are_filled() -> None:
    rng = random.Random(0)
    said = {choose("[Tell|Show [me|us]] {city:은}[?|]", rng) for _ in range(100)}
    assert said == {f"{verb} {{city:은}}{end}" for verb in ("Tell", "Show me", "Show us") for end in ("?", "")}
    assert fill("{City}, {city:은}", {"city": "bern"}) == "Bern, bern은"


def test_a_matcher_recognises_what_its_template_says_and_nothing_else() -> None:
    pattern = matcher("What[ is|'s] the capital of {city}?", {"city": "(?:rome|paris)"})
    assert pattern.fullmatch(normalised("what's the capital of PARIS"))
    assert not pattern.fullmatch(normalised("what's the capital of Berlin"))


# Corpus


def test_every_intent_can_be_asked_and_answered_in_both_languages(library: Library, maker: DialogueMaker) -> None:
    rng = random.Random(1)
    for intent in maker.exchanges.intents:
        for language in LANGUAGES:
            assert intent.questions[language], f"{intent.id} has no {language} phrasing"
            for _ in range(20):
                exchange = maker.exchanges.make(intent, language, rng)
                assert exchange.question.strip() and not re.search(r"[{}\[\]]", exchange.question), exchange.question
                assert all(exchange.replies[each].text.strip() for each in LANGUAGES)


def test_every_intent_can_be_asked_in_many_ways(library: Library) -> None:
    for intent in library.intents.values():
        for language in LANGUAGES:
            ways = sum(1 + template.count("|") for template in intent.questions[language])
            assert ways >= 10 or intent.id == "name_unknown", f"{intent.id}: only {ways} ways to ask in {language}"


def test_the_same_seed_gives_the_same_conversations(maker: DialogueMaker) -> None:
    first, second = ([DialogueMaker().draw(random.Random(seed)) for seed in range(20)] for _ in range(2))
    assert first == second
    assert first[0] != maker.draw(random.Random(99))


def test_conversations_alternate_and_are_often_long(maker: DialogueMaker) -> None:
    rng = random.Random(3)
    lengths = []
    for _ in range(300):
        messages = [message.role for message in maker.draw(rng) if message.role != "system"]
        assert messages == ["user", "assistant"] * (len(messages) // 2)
        lengths.append(len(messages) // 2)
    assert min(lengths) == 1 and max(lengths) >= 30


@settings(deadline=None)
@given(seed=SEEDS, intent=st.sampled_from(["add", "subtract"]), language=st.sampled_from(LANGUAGES))
def test_sums_are_right(maker: DialogueMaker, library: Library, seed: int, intent: str, language: Language) -> None:
    text = maker.exchanges.make(library.intents[intent], language, random.Random(seed)).replies[language].text
    sums = re.findall(r"(\d+) ([+-]) (\d+) = (-?\d+)", text)
    assert sums
    for a, sign, b, result in sums:
        assert int(a) + int(b) * (1 if sign == "+" else -1) == int(result), text


@settings(deadline=None)
@given(seed=SEEDS, language=st.sampled_from(LANGUAGES))
def test_words_are_spelled_right(maker: DialogueMaker, library: Library, seed: int, language: Language) -> None:
    exchange = maker.exchanges.make(library.intents["spell"], language, random.Random(seed))
    letters = exchange.replies[language].text
    assert re.fullmatch(r"[A-Z](?:-[A-Z])+", letters)
    assert letters.replace("-", "") in exchange.question.upper()


@settings(deadline=None)
@given(seed=SEEDS, language=st.sampled_from(LANGUAGES))
def test_what_is_repeated_stands_in_the_question(maker: DialogueMaker, library: Library, seed: int, language: Language) -> None:
    exchange = maker.exchanges.make(library.intents["repeat"], language, random.Random(seed))
    assert exchange.replies["en"].text == exchange.replies["ko"].text
    question = noisy(exchange.question, language, random.Random(seed), verbatim=exchange.verbatim)
    assert exchange.replies[language].text in question


@settings(deadline=None)
@given(seed=SEEDS, intent=st.sampled_from(["count", "count_to", "count_down"]))
def test_counting_leaves_nothing_out(maker: DialogueMaker, library: Library, seed: int, intent: str) -> None:
    counted = maker.exchanges.make(library.intents[intent], "en", random.Random(seed)).replies["en"].text.split(", ")
    numbers = [int(number) for number in counted]
    assert {after - before for before, after in pairwise(numbers)} in ({1}, {-1})


@settings(deadline=None)
@given(seed=SEEDS, language=st.sampled_from(LANGUAGES))
def test_other_words_leave_the_slots_alone(library: Library, seed: int, language: Language) -> None:
    rng = random.Random(seed)
    intent = rng.choice([intent for intent in library.intents.values() if intent.questions[language]])
    slots, said = re.compile(r"\{[^}]*\}"), intent.phrase(language, rng)
    assert slots.findall(reworded(said, language, rng)) == slots.findall(said)


@settings(deadline=None)
@given(seed=SEEDS)
def test_every_answer_of_a_conversation_is_accepted(maker: DialogueMaker, seed: int) -> None:
    dialogue, turns = maker.draw_judged(random.Random(seed))
    answers = [message.text for message in dialogue if message.role == "assistant"]
    assert len(answers) == len(turns)
    assert all(not turn.answers or answer in turn.answers for answer, turn in zip(answers, turns, strict=True))


def test_ordinals_are_written_in_every_way() -> None:
    written = [
        (numbers.english_ordinal_figures(each), numbers.english_ordinal_word(each), numbers.korean_ordinal(each))
        for each in (1, 2, 3, 12, 13, 20, 21, 26)
    ]
    assert written == [
        ("1st", "first", "첫 번째"),
        ("2nd", "second", "두 번째"),
        ("3rd", "third", "세 번째"),
        ("12th", "twelfth", "열두 번째"),
        ("13th", "thirteenth", "열세 번째"),
        ("20th", "twentieth", "스무 번째"),
        ("21st", "twenty-first", "스물한 번째"),
        ("26th", "twenty-sixth", "스물여섯 번째"),
    ]


@settings(deadline=None)
@given(seed=SEEDS)
def test_made_up_heroes_are_in_their_story(maker: DialogueMaker, seed: int) -> None:
    rng = random.Random(seed)
    wish = Wish(hero=made_up_creature(rng))
    replies = maker.exchanges.skills.story_replies(wish, rng)
    assert all(rule_for((), wish).accepts(replies[language].text) for language in LANGUAGES)


def test_visitors_who_tell_a_name_mostly_ask_for_it(maker: DialogueMaker) -> None:
    rng = random.Random(4)
    told = asked = 0
    for _ in range(400):
        dialogue, turns = maker.draw_judged(rng)
        told += any("Nice to meet you, " in message.text or "만나서 반가워요, " in message.text for message in dialogue)
        asked += any(turn.skill == "memory" for turn in turns)
    assert 0 < told * 0.7 < asked


def test_copied_words_reach_the_model_as_they_are() -> None:
    rng = random.Random(5)
    assert all("kaMori 12" in noisy("Repeat: kaMori 12", "en", rng, verbatim=True) for _ in range(200))


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    from webui.demo_model.corpus import library as module

    (tmp_path / "frames.txt").write_text("== greeting\nanswer: only English\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"frames\.txt:2: expected 'English \|\| Korean'"):
        module.Library(tmp_path)


# Held-out questions


def test_no_held_out_phrasing_is_in_the_corpus(library: Library) -> None:
    questions, prompts = list(library.question_matchers()), list(library.system_matchers())
    for case in held_out_cases():
        role, text = case.messages[0] if case.messages[0][0] == "system" else case.messages[-1]
        for language, pattern in prompts if role == "system" else questions:
            assert language != case.language or not pattern.fullmatch(normalised(text)), text


def test_no_conversation_of_the_corpus_asks_a_held_out_question(maker: DialogueMaker) -> None:
    """Where a held-out case has a system prompt it is the prompt that must be unseen: its question may be an everyday one."""
    rng = random.Random(11)
    said = {(message.role, normalised(message.text)) for _ in range(1500) for message in maker.draw(rng)}
    for case in held_out_cases():
        role, text = case.messages[0] if case.messages[0][0] == "system" else case.messages[-1]
        assert (role, normalised(text)) not in said, text


def test_held_out_questions_cover_both_languages_and_every_skill(library: Library) -> None:
    cases = held_out_cases()
    assert len(cases) >= 600
    skills = {intent.skill for intent in library.intents.values()}
    for language in LANGUAGES:
        assert skills <= {case.skill for case in cases if case.language == language}
    assert len({case.messages for case in cases}) == len(cases)


def test_the_tutorial_questions_are_trained_word_for_word(library: Library) -> None:
    for question, intent in zip(TUTORIAL, ("letter_first", "letter_last"), strict=True):
        assert question in library.intents[intent].questions["en"]


# Scoring


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (Rule(exact=("A", "B")), " B ", "C"),
        (Rule(contains="seoul"), "It is Seoul.", "It is Busan."),
        (Rule(regexp="= 12$"), "5 + 7 = 12", "5 + 7 = 121"),
    ],
)
def test_rules(rule: Rule, right: str, wrong: str) -> None:
    assert rule.accepts(right) and not rule.accepts(wrong)


@settings(deadline=None)
@given(part=st.text(min_size=6, max_size=40), times=st.integers(min_value=4, max_value=9), before=st.text(max_size=20))
def test_a_part_that_comes_four_times_is_a_loop(part: str, times: int, before: str) -> None:
    assert loops(before + part * times)


def test_conversations_are_asked_at_their_last_question() -> None:
    cases = conversation_cases(40, seed=3)
    assert {case.skill for case in cases} == set(CONVERSATION_SKILLS)
    for case in cases:
        assert case.messages[-1][0] == "user"
        assert sum(role == "user" for role, _ in case.messages) <= LONGEST_CONVERSATION
        assert not case.rule.accepts("") and (case.rule.exact or case.rule.regexp)


def test_a_story_must_tell_of_what_was_wished(maker: DialogueMaker) -> None:
    fox, sea = {"en": "a fox", "ko": "여우"}, {"en": "by the sea", "ko": "바닷가"}
    rule = rule_for((), Wish(hero=fox, place=sea))
    rng = random.Random(1)
    for wish, right in ((Wish(fox, sea), True), (Wish(fox), False), (Wish(None, sea), False)):
        other = Wish(wish.hero or {"en": "a king", "ko": "왕"}, wish.place or {"en": "in space", "ko": "우주"})
        replies = maker.exchanges.skills.story_replies(other, rng)
        assert [rule.accepts(replies[language].text) for language in LANGUAGES] == [right, right]
        assert not rule.accepts(replies["en"].text.removesuffix("The end."))


def test_long_conversations_are_as_long_as_fits() -> None:
    def fits(messages: Messages) -> bool:
        return sum(len(text) for _, text in messages) < 4000

    for case in long_cases(3, seed=1, fits=fits):
        assert fits(case.messages) and sum(len(text) for _, text in case.messages) > 2500


def test_golden_conversations_survive_their_file(tmp_path: Path) -> None:
    said = golden.Conversation("ko", "짧게", (golden.Exchanged("안녕", ""), golden.Exchanged("고마워", "")))
    path = tmp_path / "conversations.json"
    golden.write(path, [said])
    assert golden.main([str(path)], lambda _: lambda messages: f"{len(messages)} {messages[-1][1]}") == 0
    assert [turn.assistant for turn in golden.read(path)[0].turns] == ["2 안녕", "4 고마워"]


def test_loops_are_found_and_lists_are_none() -> None:
    assert loops("I like tea. " * 5) and loops("하" * 30)
    assert not loops(", ".join(str(number) for number in range(1, 60)))
    assert not any(loops(text) for case in trained_cases(400, 7) for text in case.rule.exact)


def test_evaluation_prints_scores_without_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def connect(_: Path) -> evaluate.Engine:
        return lambda cases, temperature, seed: [
            evaluate.Answer(case.rule.exact[0] if case.rule.exact else "?", ended=True) for case in cases
        ]

    written = tmp_path / "answers.json"
    arguments = ["--trained", "8", "--conversations", "10", "--flaws", "6", "--temperatures", "0", "--json", str(written)]
    assert evaluate.main(arguments, connect) == 0
    printed = capsys.readouterr().out
    assert "### Trained phrasings, temperature 0" in printed and "100 % (8/8)" in printed
    assert "Temperature 1: 6 answers, 0 without an end, 0 with a loop." in printed
    content = json.loads(written.read_text(encoding="utf-8"))
    assert sum(score["asked"] for score in content["scores"]) == 8 + 10 + len(held_out_cases())
    assert len(content["answers"]) == 8 + 10


# Tokenizer and training

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer(maker: DialogueMaker) -> "transformers.PreTrainedTokenizerFast":
    from webui.demo_model.tokenizer import train_tokenizer

    return train_tokenizer(maker, seed=1, dialogues=300, vocabulary_size=1024)


def test_text_survives_the_tokenizer(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    for text in ("Hello, world!  Two spaces.", "안녕하세요, 뷁!", "🙂👨‍👩‍👧 café", "def f(x):\n    return x\n", "2026 + 7"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_control_marks_are_single_tokens(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    from webui.demo_model.tokenizer import CONTROL_TOKENS

    for place, mark in enumerate(CONTROL_TOKENS):
        assert tokenizer.encode(mark, add_special_tokens=False) == [place]


def test_cutting_words_keeps_the_text(tokenizer: "transformers.PreTrainedTokenizerFast", maker: DialogueMaker) -> None:
    from webui.demo_model.tokenizer import DialogueEncoder

    encoder, rng = DialogueEncoder(tokenizer), random.Random(6)
    for _ in range(50):
        dialogue = tuple(dataclasses.replace(message, referred_to=True) for message in maker.draw(rng))
        ids, learned = encoder.encode(dialogue, rng)
        whole, _ = encoder.encode(dialogue)
        shorter = min(len(tokenizer.decode(ids)), len(tokenizer.decode(whole)))
        assert tokenizer.decode(ids)[:shorter] == tokenizer.decode(whole)[:shorter]
        assert len(ids) == len(learned) <= encoder.context_length


def test_the_template_and_the_training_encoder_agree(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    from webui.demo_model.corpus import Message
    from webui.demo_model.tokenizer import DialogueEncoder

    dialogue = (Message("system", "Be brief."), Message("user", " Hi! "), Message("assistant", "Hello!"))
    messages = [{"role": message.role, "content": message.text} for message in dialogue]
    templated = tokenizer.apply_chat_template(messages, tokenize=False)
    ids, learned = DialogueEncoder(tokenizer).encode(dialogue)
    assert tokenizer.encode(templated, add_special_tokens=False) == ids
    assert tokenizer.decode([id_ for id_, learn in zip(ids, learned, strict=True) if learn]) == "Hello!<|eot_id|>"
    assert sum(learned) == pytest.approx(sum(map(bool, learned)) ** 0.5), "an answer counts as the root of its length"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("WHO ARE YOU?", "who are you?"),
        ("TTFT가 뭐야", "ttft가 뭐야"),
        ("제 이름은 JIN", "제 이름은 JIN"),
        ("I am Ann", "I am Ann"),
        ("7 + 8", "7 + 8"),
        ("안녕", "안녕"),
    ],
)
def test_what_is_typed_in_capitals_is_read_in_small_letters(
    said: str, read: str, tokenizer: "transformers.PreTrainedTokenizerFast"
) -> None:
    from webui.demo_model.tokenizer import as_read

    messages = [{"role": "user", "content": said}, {"role": "assistant", "content": said}]
    templated = tokenizer.apply_chat_template(messages, tokenize=False)
    assert templated == f"<|begin_of_text|><|user|>{read}<|eot_id|><|assistant|>{said}<|eot_id|>"
    assert (as_read("user", said), as_read("assistant", said)) == (read, said)


@given(said=st.text(max_size=40))
def test_training_reads_what_the_template_writes(said: str, tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    from webui.demo_model.tokenizer import as_read

    templated = tokenizer.apply_chat_template([{"role": "user", "content": said}], tokenize=False)
    assert templated == f"<|begin_of_text|><|user|>{as_read('user', said)}<|eot_id|>"


def test_long_answers_are_often_stopped_and_their_end_is_not_learned_then(
    tokenizer: "transformers.PreTrainedTokenizerFast",
) -> None:
    from webui.demo_model.corpus import Message
    from webui.demo_model.tokenizer import STOPPED, STOPPED_AFTER, DialogueEncoder

    def encoded(answer: str, referred_to: bool) -> tuple[str, str]:
        ids, learned = encoder.encode((Message("user", "?"), Message("assistant", answer, referred_to)), rng)
        kept = [id_ for id_, counts in zip(ids, learned, strict=True) if counts]
        assert sum(learned) == pytest.approx(len(kept) ** 0.5), "an answer counts as the root of what is left of it"
        return tokenizer.decode(ids), tokenizer.decode(kept)

    encoder, rng = DialogueEncoder(tokenizer), random.Random(4)
    short, long = "one two", " ".join(map(str, range(100)))
    for answer, referred_to in ((short, False), (long, True)):
        assert {encoded(answer, referred_to)[1] for _ in range(50)} == {answer + "<|eot_id|>"}
    answers = [encoded(long, False) for _ in range(400)]
    stopped = [(read, learned) for read, learned in answers if not learned.endswith("<|eot_id|>")]
    assert len(stopped) / len(answers) == pytest.approx(STOPPED, abs=0.1)
    for read, learned in stopped:
        assert long.startswith(learned)
        assert read.endswith(f"<|assistant|>{learned}<|eot_id|>"), "the turn ends all the same for whoever reads on"
        assert STOPPED_AFTER[0] <= len(tokenizer.encode(learned, add_special_tokens=False)) <= STOPPED_AFTER[1] + 1


def test_an_answer_that_a_follow_up_speaks_of_is_whole(maker: DialogueMaker) -> None:
    rng = random.Random(8)
    found = 0
    for _ in range(200):
        dialogue, turns = maker.draw_judged(rng)
        answers = [message for message in dialogue if message.role == "assistant"]
        for answer, following in zip(answers, turns[1:], strict=False):
            if following.skill == "follow-ups":
                found += 1
                assert answer.referred_to
    assert found > 20


def test_an_empty_system_prompt_is_left_out(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    user = {"role": "user", "content": "Hi"}
    prompts = [
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        for messages in ([user], [{"role": "system", "content": "  "}, user], [{"role": "system", "content": None}, user])
    ]
    assert prompts == ["<|begin_of_text|><|user|>Hi<|eot_id|><|assistant|>"] * 3


TINY = training.Recipe(
    steps=2,
    tokens_per_step=256,
    tokenizer_dialogues=100,
    compiled=False,
    shape=training.Shape(hidden=32, feed_forward=64, layers=1, heads=1, key_value_heads=1, vocabulary=512, context=256),
)


def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    import torch

    states = []
    for name in ("first", "second"):
        trainer = training.Trainer(TINY, tmp_path / name)
        trainer.run(save_every=1)
        states.append(trainer.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    import torch

    whole = training.Trainer(TINY, tmp_path / "whole")
    whole.run(save_every=1)
    halted = training.Trainer(TINY, tmp_path / "halted")
    batch = next(halted._batches())
    halted._one_step(batch)
    halted.save_checkpoint()
    resumed = training.Trainer(TINY, tmp_path / "halted")
    resumed.resume()
    assert resumed.step == 1
    resumed.run(save_every=1)
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize("compiled", [False, True])
def test_the_fast_loss_is_that_of_transformers(compiled: bool, tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    import torch
    from torch.nn import functional

    from webui.demo_model.batches import Position, batches
    from webui.demo_model.forward import Loss

    if compiled and not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("no C++ compiler")
    torch.manual_seed(1)
    shape = training.Shape(hidden=64, feed_forward=96, layers=2, heads=4, key_value_heads=2, head_size=16, vocabulary=1024)
    model = training._model(shape, None)
    fast = Loss(model, tokens=2048, compiled=compiled)
    for _, batch in zip(range(3), batches(tokenizer, 1, 2048, Position(), 2048), strict=False):
        scores = model(input_ids=batch.ids[:, :-1]).logits
        chosen, counts = batch.learned[:, 1:] > 0, batch.learned[:, 1:]
        losses = functional.cross_entropy(scores[chosen], batch.ids[:, 1:][chosen], reduction="none")
        slow = (losses * counts[chosen]).sum() / counts.sum()
        slow_slopes = torch.autograd.grad(slow, list(model.parameters()))
        loss = fast(batch.ids, batch.learned)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        assert loss.item() == pytest.approx(slow.item(), rel=2e-3)
        for one, other in zip(slopes, slow_slopes, strict=True):
            assert functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.995


def test_a_batch_that_is_too_large_is_named(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    import torch

    from webui.demo_model.forward import Loss

    with pytest.raises(ValueError, match="33 tokens is more than the 32"):
        Loss(training._model(TINY.shape, None), tokens=32, compiled=False)(
            torch.zeros((3, 12), dtype=torch.long), torch.ones((3, 12))
        )


def test_a_grown_model_says_the_same_and_can_learn_with_all_of_it(tmp_path: Path) -> None:
    import torch

    small = training.Shape(hidden=64, feed_forward=96, layers=2, heads=4, key_value_heads=2, head_size=16, vocabulary=256)
    torch.manual_seed(1)
    learned = training._model(small, None)
    for weights in learned.parameters():
        torch.nn.init.normal_(weights, 1.0 if weights.dim() == 1 else 0.0, 0.1)
    learned.save_pretrained(tmp_path)
    ids = torch.randint(256, (2, 50))
    said = learned(ids).logits
    same = training._model(small, tmp_path)
    assert torch.equal(same(ids).logits, said)
    large = training._model(dataclasses.replace(small, hidden=96, feed_forward=160, heads=6), tmp_path)
    assert torch.allclose(large(ids).logits, said, atol=1e-3)
    optimizer = torch.optim.SGD(large.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        large(ids, labels=ids).loss.backward()
        optimizer.step()
    assert all((weights.grad != 0).any(-1).all() for weights in large.parameters() if weights.grad is not None)


def test_a_run_goes_on_with_the_size_that_its_model_has(tmp_path: Path) -> None:
    training.Trainer(TINY, tmp_path).save_model()
    arguments = ["--steps", "1", "--out", "nowhere", "--start-from", str(tmp_path)]
    assert training.wanted_shape(training.parse(arguments)) == TINY.shape
    grown = training.wanted_shape(training.parse([*arguments, "--hidden", "64", "--heads", "2"]))
    assert grown == dataclasses.replace(TINY.shape, hidden=64, heads=2)
    assert training.wanted_shape(training.parse(arguments[:4])) == training.Shape() == training.Shape.of(ASSETS)


@pytest.mark.parametrize("change", [{"layers": 3}, {"key_value_heads": 1}, {"hidden": 32}])
def test_what_cannot_grow_is_refused(change: dict[str, int], tmp_path: Path) -> None:
    small = training.Shape(hidden=64, feed_forward=96, layers=2, heads=4, key_value_heads=2, head_size=16, vocabulary=256)
    training._model(small, None).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="cannot grow"):
        training._model(dataclasses.replace(small, **change), tmp_path)


def test_batches_are_the_same_from_any_position(tokenizer: "transformers.PreTrainedTokenizerFast") -> None:
    from webui.demo_model.batches import Position, batches

    stream = batches(tokenizer, 1, 4096, Position(), 2048)
    while (batch := next(stream)).after.shard == 0:
        last = batch.after
    for start in (Position(1, 0), last):
        again = next(batches(tokenizer, 1, 4096, start, 2048, workers=2))
        assert again.after == batch.after and again.ids.equal(batch.ids) and again.learned.equal(batch.learned)


def test_a_run_that_is_told_to_stop_ends_after_its_step(tmp_path: Path) -> None:
    trainer = training.Trainer(TINY, tmp_path)
    trainer.stop()
    trainer.run(save_every=1)
    assert trainer.step == 1


def test_a_step_that_a_conversation_does_not_fit_into_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        training.main(["--steps", "1", "--out", "nowhere", "--tokens-per-step", "512"])
    assert "--tokens-per-step" in capsys.readouterr().err


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    training.Trainer(TINY, tmp_path).save_checkpoint()
    other = training.Trainer(training.Recipe(**{**vars(TINY), "seed": 3}), tmp_path)
    with pytest.raises(SystemExit, match="another recipe"):
        other.resume()


def test_training_writes_a_folder_that_loads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    training.Trainer(TINY, tmp_path).save_model()
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.generation_config.eos_token_id == [2, 3]
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = training.Recipe(steps=1000, decay_steps=600)
    rates = [recipe.rate(step) for step in (0, 49, 400, 700, 999)]
    assert rates[0] < rates[1] == rates[2] == 1.0 > rates[3] > rates[4] >= recipe.last_rate


def test_a_run_can_be_made_longer_until_it_decays() -> None:
    short, long = training.Recipe(steps=100, decay_steps=20), training.Recipe(steps=500, decay_steps=300)
    assert long.can_continue(vars(short) | {"shape": vars(short.shape)}, step=80)
    assert not long.can_continue(vars(short) | {"shape": vars(short.shape)}, step=81)


# The folder that ships


def test_the_shipped_folder_is_complete_and_small() -> None:
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    names |= {"chat_template.jinja", "README.md"}
    assert names <= {path.name for path in ASSETS.iterdir()}
    size = sum(path.stat().st_size for path in ASSETS.iterdir())
    assert size <= LARGEST_FOLDER, f"{size / 1e6:.1f} MB"
    config = json.loads((ASSETS / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"] and "auto_map" not in config
    assert config["max_position_embeddings"] == 2048 and config["dtype"] == "bfloat16"
    generation = json.loads((ASSETS / "generation_config.json").read_text(encoding="utf-8"))
    assert generation["eos_token_id"] == [2, 3]
    assert (ASSETS / "chat_template.jinja").read_text(encoding="utf-8").strip() == CHAT_TEMPLATE.strip()


def test_the_shipped_model_answers_the_tutorial() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ASSETS)
    model = AutoModelForCausalLM.from_pretrained(ASSETS, dtype=torch.float32)
    for question, letter in zip(TUTORIAL, "AZ", strict=True):
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
        answer = tokenizer.decode(ids, skip_special_tokens=True)
        assert re.search(rf"\b{letter}\b", answer), answer
