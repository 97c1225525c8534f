"""What the demo model learns from: conversations in English and Korean, made from the text files in `data/`.

To teach it something, add an intent to one of those files (README.md beside them shows how); no code is needed.
This package knows nothing of tokens, of torch or of the engine.
"""

from webui.demo_model.corpus.dialogue import Dialogue, DialogueMaker, Message
from webui.demo_model.corpus.library import Library

__all__ = ["Dialogue", "DialogueMaker", "Library", "Message"]
