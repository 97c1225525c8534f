"""The command `add-user`: puts a user into the file of `--auth`, or gives one another password.

The password is asked for twice without an echo; where standard input is no terminal, its first line is the password.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from webui.accounts.passwords import LONGEST, SHORTEST, hash_password
from webui.accounts.users import plain_name, read_users, write_user
from webui.errors import BadSetting, UserRefused, WebuiError

FILE = "users.toml"


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Returns:
        The exit status.
    """
    options = _command_line().parse_args(list(arguments))
    try:
        print(_add(Path(options.auth), options.name, options.change_password))
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was changed.", file=sys.stderr)
        return 1
    return 0


def _add(path: Path, given: str, change: bool) -> str:
    """Does it.

    Returns:
        What was done.

    Raises:
        UserRefused, BadSetting
    """
    name = plain_name(given)
    if name is None:
        raise UserRefused(name=given, reason="a name has up to 64 letters, digits and . _ - @ +")
    there = name in (read_users(path) if path.exists() else {})
    if there and not change:
        raise UserRefused(name=name, reason=f"is in {path} already; --change-password gives another password")
    if change and not there:
        raise UserRefused(name=name, reason=f"is not in {path}")
    hash = hash_password(_password(name))
    try:
        write_user(path, name, hash)
    except OSError as error:
        raise BadSetting(setting="--auth", reason=f"{path} cannot be written: {error.strerror}") from None
    if there:
        return f"{name} has another password; whoever was logged in with the old one is not any more."
    return f"{name} is in {path}. Start with --auth {path}; a server that runs with it knows of this already."


def _password(name: str) -> str:
    """The password that somebody types.

    Raises:
        UserRefused
    """
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise UserRefused(name=name, reason="the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST <= len(password) <= LONGEST:
        raise UserRefused(name=name, reason=f"a password has {SHORTEST} to {LONGEST} characters")
    return password


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python launch.py add-user",
        description="Adds a user who may log in, or changes a password. It is asked for, or read from standard input.",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="letters, digits and . _ - @ +; large and small letters are the same")
    default = os.environ.get("WEBUI_AUTH") or FILE
    parser.add_argument("--auth", metavar="FILE", default=default, help=f"the file of users (default: {default})")
    parser.add_argument("--change-password", action="store_true", help="give a user who is there another password")
    return parser
