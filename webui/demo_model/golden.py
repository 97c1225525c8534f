"""Whole conversations that were read by eye: `python -m webui.demo_model.golden FILE` answers them anew with a model's weights.

What the visitor says is written by hand; the answers are the model's own, greedy, in float32. A test replays the file through
the app. Knows nothing of the engine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from webui.demo_model.corpus.library import Language
from webui.demo_model.evaluate import ASSETS, LONGEST_ANSWER, Tokens
from webui.demo_model.scoring import Messages

Respond = Callable[[Messages], str]


@dataclass(frozen=True)
class Exchanged:
    """What the visitor said, and the model's answer to it."""

    user: str
    assistant: str


@dataclass(frozen=True)
class Conversation:
    """A conversation from its first word to its last."""

    language: Language
    system: str
    turns: tuple[Exchanged, ...]


def read(path: Path) -> list[Conversation]:
    """The conversations of a file."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Conversation(row["language"], row["system"], tuple(Exchanged(**turn) for turn in row["turns"])) for row in rows]


def write(path: Path, conversations: Sequence[Conversation]) -> None:
    """The file that `read` reads."""
    rows = [asdict(conversation) for conversation in conversations]
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def answered(conversation: Conversation, respond: Respond) -> Conversation:
    """The same words of the visitor, with the answers that the model gives now."""
    messages: list[tuple[str, str]] = [("system", conversation.system)] if conversation.system else []
    turns = []
    for turn in conversation.turns:
        messages.append(("user", turn.user))
        answer = respond(tuple(messages))
        messages.append(("assistant", answer))
        turns.append(Exchanged(turn.user, answer))
    return replace(conversation, turns=tuple(turns))


def transformers_model(model: Path) -> Respond:
    """The model's greedy answers in float32, by transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    weights = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32).eval()
    tokens = Tokens(model)

    def respond(messages: Messages) -> str:
        prompt = torch.tensor([tokens.prompt(messages)])
        with torch.inference_mode():
            ids = weights.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=LONGEST_ANSWER, do_sample=False
            )
        return tokens.text(ids[0, prompt.shape[1] :].tolist())

    return respond


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m webui.demo_model.golden", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="conversations to be answered anew, in place")
    parser.add_argument("--model", type=Path, default=ASSETS, help="model folder (default: the one that ships)")
    return parser.parse_args(arguments)


def main(arguments: list[str], connect: Callable[[Path], Respond] = transformers_model) -> int:
    """Answers the file's conversations and prints them for reading."""
    options = parse(arguments)
    respond = connect(options.model)
    conversations = [answered(conversation, respond) for conversation in read(options.file)]
    write(options.file, conversations)
    for conversation in conversations:
        print(f"--- {conversation.language} {conversation.system}")
        for turn in conversation.turns:
            print(f"> {turn.user}\n{turn.assistant}")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
