"""Flags, environment and file, in that order of strength, and errors that name what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from webui.errors import BadSetting
from webui.settings import FIELDS, Settings, command_line, flag, load

ROOT = Path(__file__).resolve().parents[2]


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "chat.toml"
    file.write_text("port = 1\nhost = 'a'\nmax-num-seqs = 2\nenforce_eager = true\ninsecure = true\n")
    environment = {"WEBUI_PORT": "2", "WEBUI_HOST": "b", "WEBUI_CONFIG": str(file), "PATH": "/bin"}
    settings = load(["--port", "3"], environment)
    assert (settings.port, settings.host, settings.max_num_seqs, settings.enforce_eager) == (3, "b", 2, True)


def test_only_what_was_given_goes_to_the_engine() -> None:
    assert set(Settings().engine_arguments()) == {"model", "max_num_seqs"}
    settings = load(["--max-model-len", "512", "--no-enable-prefix-caching", "--chat-template", "x"], {})
    assert settings.engine_arguments()["max_model_len"] == 512
    assert settings.engine_arguments()["enable_prefix_caching"] is False
    assert "chat_template" not in settings.engine_arguments()


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (["--port", "70000"], {}, "--port"),
        (["--port", "x"], {}, "--port"),
        (["--dtype", "int4"], {}, "--dtype"),
        (["--grace", "nan"], {}, "--grace"),
        ([], {"WEBUI_PROT": "1"}, "WEBUI_PROT"),
        ([], {"WEBUI_ENFORCE_EAGER": "perhaps"}, "WEBUI_ENFORCE_EAGER"),
        (["--config", "/no/such.toml"], {}, "/no/such.toml"),
        (["--kiosk", "--auth", "users.toml"], {}, "--auth: nobody before a --kiosk could log in"),
        (["--kiosk"], {"WEBUI_AUTH": "users.toml"}, "--auth: nobody before a --kiosk could log in"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], environment: dict[str, str], named: str) -> None:
    with pytest.raises(BadSetting) as refused:
        load(arguments, environment)
    assert str(refused.value).startswith(named)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot"),
        ("port = '7860x'", "port"),
        ("max_num_seqs = 1.5", "max_num_seqs"),
        ("host = 1", "host"),
        ("port = true", "port"),
        ("enforce_eager = 2", "enforce_eager"),
        ("port = ", "is not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "chat.toml"
    file.write_text(text)
    with pytest.raises(BadSetting, match=named):
        load(["--config", str(file)], {})


def test_an_unknown_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--max-num-seq", "4"], {})
    assert "--max-num-seq" in capsys.readouterr().err


def test_every_setting_stands_in_the_help() -> None:
    text = command_line().format_help()
    assert all(flag(name) in text for name in FIELDS)


def test_the_help_needs_nothing_installed() -> None:
    code = "import sys; sys.path.insert(0, '.'); from webui.settings import command_line; command_line().format_help()"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)


def test_several_values_come_as_flags_as_a_list_or_with_commas(tmp_path: Path) -> None:
    file = tmp_path / "chat.toml"
    file.write_text('api-key = ["a", "b,c"]\n')
    assert load([], {}).api_key == ()
    assert load(["--api-key", "a", "--api-key", "b,c"], {"WEBUI_API_KEY": "d"}).api_key == ("a", "b,c")
    assert load([], {"WEBUI_API_KEY": "a, b"}).api_key == ("a", "b")
    assert load(["--config", str(file)], {}).api_key == ("a", "b,c")


@pytest.mark.parametrize("value", ['["a", 12345]', "12345", '["12345", ""]'])
def test_a_secret_is_not_repeated(tmp_path: Path, value: str) -> None:
    file = tmp_path / "chat.toml"
    file.write_text(f"api_key = {value}\n")
    with pytest.raises(BadSetting, match="api_key") as refused:
        load(["--config", str(file)], {})
    assert "12345" not in str(refused.value)
    assert "12345" not in repr(load(["--api-key", "12345"], {}))
