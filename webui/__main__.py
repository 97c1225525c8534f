"""The command line: `python -m webui [COMMAND] [SETTINGS]`. Without a command it serves the chat.

It reads the settings, sets what libraries read at import, and hands over; it does nothing itself.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from webui.errors import WebuiError
from webui.settings import COMMANDS, Settings, load


def main(arguments: Sequence[str]) -> int:
    """Runs a command.

    Returns:
        The exit status: 0 if all went well, 1 if not, 2 for arguments that cannot be understood.
    """
    if arguments and arguments[0] in COMMANDS:
        return _command(arguments[0], list(arguments[1:]))
    try:
        settings = load(arguments)
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 2
    return _serve(settings)


def _command(name: str, arguments: list[str]) -> int:
    if name == "compile":
        from webui.rbln import compile

        return compile.main(arguments)
    if name == "check":
        from webui.rbln import check

        return check.main(arguments)
    if name == "add-user":
        from webui.accounts import add_user

        return add_user.main(arguments)
    if name == "export-triton":
        from webui.rbln import model_repository

        return model_repository.main(arguments)
    if name == "kiosk-pin":
        from webui.kiosk import pin

        return pin.main(arguments)
    if name == "evaluate":
        from webui.evaluation import arguments as told

        return told.main(arguments)
    from webui.demo_model import training

    return training.main(arguments)


def _serve(settings: Settings) -> int:
    _log_to_terminal(settings.log_level)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from webui.engines.local import prepare_environment
    from webui.server import process

    prepare_environment(settings)
    try:
        return process.run(settings)
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 1


def _log_to_terminal(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for chatty in ("httpx", "httpcore", "asyncio", "markdown_it", "python_multipart"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # An import of an engine that was interrupted may still run in a thread; nothing of it is wanted any more.
    os._exit(status)
