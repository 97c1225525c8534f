"""README: its commands run, its settings are the settings, its tree is the tree, and the Korean twin has the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from webui.settings import COMMANDS, FIELDS, command_line, flag

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.ko.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """The lines of its shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", text(name), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def tree(name: str) -> list[str]:
    """The paths of its file tree."""
    (block,) = re.findall(r"```\n(launch\.py.*?)```", text(name), re.DOTALL)
    paths, folders = [], [""]
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for word in line.strip().split("   ")[0].split("  "):
            del folders[depth + 1 :]
            paths.append(folders[depth] + word)
        if word.endswith("/"):
            folders.append(folders[depth] + word)
    return paths


def settings_table(name: str) -> dict[str, str]:
    """Setting -> what stands in the column of defaults."""
    return {row[0]: row[2].strip() for row in re.findall(r"^\| `(--[a-z-]+)` \|(.*)\|(.*)\|$", text(name), re.MULTILINE)}


@pytest.mark.parametrize("name", READMES)
def test_every_launch_command_is_understood(name: str) -> None:
    launched = [shlex.split(line)[2:] for line in commands(name) if line.startswith("python launch.py")]
    assert [] in launched and ["test"] in launched
    for arguments in launched:
        if arguments[:1] == ["test"] or (arguments[:1] and arguments[0] in COMMANDS):
            continue
        command_line().parse_args(arguments)


@pytest.mark.parametrize("name", READMES)
def test_every_module_that_a_command_runs_is_there(name: str) -> None:
    modules = re.findall(r"python -m ((?:benchmarks|webui)[\w.]*)", text(name))
    assert modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@pytest.mark.parametrize("name", READMES)
def test_the_settings_are_the_settings(name: str) -> None:
    table = settings_table(name)
    assert list(table) == [flag(f) for f in FIELDS]
    for field in FIELDS.values():
        shown = table[flag(field.name)]
        expected = "" if field.default in (None, "", ()) else str(field.default)
        assert shown == expected or field.name == "model", field.name


@pytest.mark.parametrize("name", READMES)
def test_the_tree_is_the_tree(name: str) -> None:
    named = tree(name)
    assert [path for path in named if not (ROOT / path).exists()] == []
    # Whatever is not named itself stands under a folder that is named without anything in it.
    leaves = tuple(path for path in named if path.endswith("/") and not any(p != path and p.startswith(path) for p in named))
    for path in [*ROOT.glob("webui/**/*.py"), *ROOT.glob("benchmarks/*.py"), *ROOT.glob("assets/*"), *ROOT.glob("tests/*.py")]:
        relative = path.relative_to(ROOT).as_posix()
        quiet = path.name in ("__init__.py", "conftest.py", "jsconfig.json") or path.name.startswith("__pycache__")
        assert quiet or path.is_dir() or relative in named or relative.startswith(leaves), relative


@pytest.mark.parametrize("name", READMES)
def test_its_pictures_and_links_are_there(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text(name)):
        assert (ROOT / target).exists(), target


def test_the_korean_twin_has_the_same_commands_and_tree() -> None:
    english, korean = READMES
    assert commands(english) == commands(korean)
    assert tree(english) == tree(korean)
