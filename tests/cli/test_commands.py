"""What an operator types, and what they read (O-7, F-041)."""

import socket
from pathlib import Path

import pytest

from parlour import __version__
from tests.cli.conftest import Run


def test_the_version(parlour: Run) -> None:
    assert parlour("--version").out == f"parlour {__version__}\n"


def test_help_lists_the_commands(parlour: Run) -> None:
    result = parlour("--help")
    assert result.status == 0
    assert all(word in result.out for word in ("serve", "doctor", "config", "db", "users"))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PARLOUR_PORT": "abc"}, "PARLOUR_PORT is 'abc', but must be a whole number"),
        ({"PARLOUR_PRT": "1"}, "Did you mean PARLOUR_PORT?"),
        ({"PARLOUR_ENVIRONMENT": "production"}, "PARLOUR_PUBLIC_URL is missing"),
        ({"PARLOUR_DEFAULT_PROVIDER": "openai"}, "OPENAI_API_KEY"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(
    parlour: Run, tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    """F-041: one line, a status, and nothing begun."""
    result = parlour("serve", **variables)
    assert result.status == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert words in result.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["config check", "config show", "doctor", "db upgrade"])
def test_a_bad_setting_ends_every_other_command_too(parlour: Run, command: str) -> None:
    result = parlour(*command.split(), PARLOUR_PORT="abc")
    assert (result.status, result.err.count("\n")) == (2, 1)


def test_bad_settings_are_told_before_the_server_is_imported(parlour: Run) -> None:
    """F-041: within 2 s also on a slow machine, so nothing heavy may be in the way."""
    result = parlour("serve", PARLOUR_PORT="abc", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in result.err.splitlines() if "|" in line}
    assert "parlour.settings" in imported
    assert not imported & {"fastapi", "sqlalchemy", "aiohttp", "uvicorn", "parlour.app", "parlour.wiring"}


def test_good_settings_are_said_to_be_fine(parlour: Run) -> None:
    result = parlour("config", "check")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("The settings are fine")


def test_settings_are_shown_without_secrets(parlour: Run) -> None:
    result = parlour("config", "show", OPENAI_API_KEY="sk-hunter2", PARLOUR_PORT="4321")
    assert "hunter2" not in result.out + result.err
    assert any(line.split() == ["server.port", "4321"] for line in result.out.splitlines())


def test_settings_are_shown_as_an_operator_writes_them(parlour: Run, tmp_path: Path) -> None:
    (tmp_path / "parlour.toml").write_text('[plans.gold]\nmodels = ["openai/*", "ollama/*"]\n')
    lines = parlour("config", "show").out.splitlines()
    shown = {name: value.strip() for name, _, value in (line.partition(" ") for line in lines)}
    assert (shown["knowledge.enabled"], shown["cache.enabled"]) == ("on", "off")
    assert shown["plans.gold.models"] == "openai/*, ollama/*"


@pytest.mark.parametrize("command", ["config check", "serve"])
def test_a_bad_line_of_the_rules_is_named_with_its_file(parlour: Run, tmp_path: Path, command: str) -> None:
    """M-10"""
    rules = tmp_path / "rules.txt"
    rules.write_text("casino\n/(unclosed/\n")
    variables = {"PARLOUR_MODERATION_RULES": str(rules), "PARLOUR_MODERATION_INPUT": "block"}
    result = parlour(*command.split(), **variables)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert all(each in result.err for each in ("PARLOUR_MODERATION_RULES", str(rules), "Line 2"))


NOWHERE = """
[openai]
api_key = "sk-test"
base_url = "http://127.0.0.1:1/v1"
model = "ours"

[models]
task_code = "anthropic, openai/ours"

[plans.gold]
models = ["openai/*", "gemini/gemini-x", "ollama/*"]

[prices."openai/ours"]
input = 1
output = 2

[prices."openai/orus"]
input = 1
output = 2
"""


def test_names_that_match_no_model_are_told(parlour: Run, tmp_path: Path) -> None:
    """M-3, M-8: and nothing is said of those that do, by whichever of their names"""
    (tmp_path / "parlour.toml").write_text(NOWHERE)
    result = parlour("config", "check")
    assert result.status == 0
    told = [line for line in result.out.splitlines() if "without effect" in line]
    assert len(told) == 3, result.out
    assert "plans.gold.models names 'gemini/gemini-x'" in told[0]
    assert 'prices."openai/orus"' in told[1]
    assert "PARLOUR_TASK_CODE names 'anthropic'" in told[2]
    assert "without effect" not in parlour("config", "check", "--config", "/dev/null").out


def test_a_config_file_is_read(parlour: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[assistant]\nname = "Ada"\n')
    assert "Ada" in parlour("config", "show", "--config", "mine.toml").out
    assert parlour("config", "check", "--config", "nothing.toml").status == 2


def test_a_port_in_use_is_one_line(parlour: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = parlour("serve", "--port", str(taken.getsockname()[1]))
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert "taken by another program" in result.err
    assert "--port" in result.err


def test_an_address_of_another_machine_is_one_line(parlour: Run) -> None:
    result = parlour("serve", "--host", "192.0.2.1")
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert "PARLOUR_HOST" in result.err


def test_a_secret_that_others_can_read_stops_the_start(parlour: Run, tmp_path: Path) -> None:
    parlour("users", "token", "--role", "user")
    key = tmp_path / "data" / "secrets" / "token-signing.key"
    key.chmod(0o644)
    result = parlour("serve", "--port", "0")
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert f"chmod 600 {key}" in result.err


def test_a_token_for_scripts_is_all_that_is_printed(parlour: Run) -> None:
    result = parlour("users", "token", "--role", "operator", "--email", "ada@example.org")
    assert result.status == 0
    assert result.err == ""
    assert result.out.count("\n") == 1
    assert result.out.count(".") == 2


def test_an_unknown_role_is_refused(parlour: Run) -> None:
    result = parlour("users", "token", "--role", "god")
    assert result.status == 2
    assert "god" in result.err


def test_a_crooked_address_is_refused(parlour: Run) -> None:
    result = parlour("users", "token", "--role", "user", "--email", "nobody")
    assert result.status == 1
    assert "is not an e-mail address" in result.err


def test_the_database_is_upgraded_again_and_again(parlour: Run, tmp_path: Path) -> None:
    for _ in range(2):
        result = parlour("db", "upgrade")
        assert (result.status, result.out) == (0, "The database is up to date.\n")
    assert (tmp_path / "data" / "parlour.db").is_file()


def test_a_database_out_of_reach_is_told(parlour: Run) -> None:
    result = parlour("db", "upgrade", PARLOUR_DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x")
    assert result.status == 1
    assert "Traceback" not in result.err
    assert "hunter2" not in result.err


def doctor_lines(out: str) -> dict[str, str]:
    return {line[6:20].strip(): line[:5].strip() for line in out.splitlines()[:-1]}


def test_the_doctor_finds_a_fresh_machine_well(parlour: Run, tmp_path: Path) -> None:
    result = parlour("doctor")
    assert result.status == 0, result.out
    assert result.out.endswith("Parlour can serve.\n")
    found = doctor_lines(result.out)
    assert {"data folder", "secrets", "database", "provider", "knowledge", "page", "port"} <= set(found)
    assert "fail" not in found.values()
    assert not (tmp_path / "data").exists()


def test_the_doctor_names_what_is_wrong_and_the_remedy(parlour: Run, tmp_path: Path) -> None:
    parlour("users", "token", "--role", "user")
    (tmp_path / "data" / "secrets").chmod(0o755)
    (tmp_path / "empty").mkdir()
    result = parlour(
        "doctor",
        OPENAI_API_KEY="sk-hunter2",
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
        PARLOUR_KNOWLEDGE_FOLDER=str(tmp_path / "empty"),
        PARLOUR_JWT_SECRET="",
    )
    found = doctor_lines(result.out)
    assert result.status == 1
    assert found["secrets"] == "fail"
    assert found["openai"] == "warn"
    assert found["knowledge"] == "warn"
    assert "chmod 700" in result.out
    assert "OPENAI_BASE_URL" in result.out
    assert "hunter2" not in result.out


def test_the_doctor_sees_a_database_that_needs_an_upgrade(parlour: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parlour.db").write_bytes(b"")
    result = parlour("doctor")
    assert doctor_lines(result.out)["database"] == "fail"
    assert "parlour db upgrade" in result.out
