"""O-7: one typed model, environment over one file, and every mistake in words with its remedy."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from parlour.llm.providers.openai_compatible import DEFAULT_BASE_URL, DEFAULT_MODEL
from parlour.settings import Settings, SettingsError, describe, load, show, weakness

STRONG = "k3Jx9vQm2LpZr7TnWc5Yb8Hd4Fg6Sa1E0uIo"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with nothing but a data folder, in a working directory without a settings file."""
    monkeypatch.chdir(tmp_path)
    return {"PARLOUR_DATA_DIR": str(tmp_path / "data")}


def problems(environ: dict[str, str], config: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ, config=config)
    return caught.value.problems


def test_defaults_are_enough_to_start(environ: dict[str, str]) -> None:
    settings = load(environ=environ)
    assert settings.provider == "builtin"
    assert settings.storage_url == f"sqlite:///{environ['PARLOUR_DATA_DIR']}/parlour.db"
    assert settings.chat.message_limit == 10_000
    assert not settings.production


def test_the_defaults_of_openai_are_those_of_its_adapter() -> None:
    settings = Settings()
    assert (settings.openai.base_url, settings.openai.model) == (DEFAULT_BASE_URL, DEFAULT_MODEL)


def test_options_win_over_the_environment_and_the_environment_over_the_file(
    environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "parlour.toml"
    file.write_text('[server]\nport = 1111\nhost = "127.0.0.2"\n[assistant]\nname = "Ada"\n')
    environ |= {"PARLOUR_PORT": "2222", "PARLOUR_HOST": "127.0.0.3"}
    settings = load(environ=environ, overrides={"server.host": "127.0.0.4"})
    assert (settings.server.host, settings.server.port, settings.assistant.name) == ("127.0.0.4", 2222, "Ada")


def test_the_file_is_found_in_the_data_folder_too(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parlour.toml").write_text("[server]\nport = 3333\n")
    assert load(environ=environ).server.port == 3333


def test_an_empty_variable_is_as_good_as_none(environ: dict[str, str]) -> None:
    assert load(environ=environ | {"OPENAI_API_KEY": "", "PARLOUR_PORT": ""}).provider == "builtin"


@pytest.mark.parametrize(
    ("variables", "provider"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, "openai"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1/"}, "openai"),
        ({"OPENAI_API_KEY": "sk-1", "PARLOUR_DEFAULT_PROVIDER": "builtin"}, "builtin"),
    ],
)
def test_a_key_or_an_address_makes_openai_the_provider(
    environ: dict[str, str], variables: dict[str, str], provider: str
) -> None:
    """M-2: a provider with no key is absent, not broken."""
    assert load(environ=environ | variables).provider == provider


def test_a_chosen_provider_without_a_key_is_told(environ: dict[str, str]) -> None:
    (line,) = problems(environ | {"PARLOUR_DEFAULT_PROVIDER": "openai"})
    assert "OPENAI_API_KEY" in line


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PARLOUR_PRT", "PARLOUR_PORT"),
        ("PARLOUR_JWT_SECRTE", "PARLOUR_JWT_SECRET"),
        ("PARLOUR_DATABSE_URL", "PARLOUR_DATABASE_URL"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest_one(
    environ: dict[str, str], name: str, nearest: str
) -> None:
    (line,) = problems(environ | {name: "x"})
    assert name in line
    assert f"Did you mean {nearest}?" in line


def test_names_of_the_build_and_the_tests_are_left_alone(environ: dict[str, str]) -> None:
    load(environ=environ | {"PARLOUR_SKIP_UI": "1", "PARLOUR_TEST_DATABASE_URL": "postgresql://x"})


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("PARLOUR_PORT", "abc", "must be a whole number"),
        ("PARLOUR_PORT", "65536", "must be at most 65535"),
        ("PARLOUR_KNOWLEDGE", "perhaps", "must be on or off"),
        ("PARLOUR_ENVIRONMENT", "staging", "must be 'development' or 'production'"),
        ("PARLOUR_LOG_LEVEL", "loud", "must be"),
        ("PARLOUR_PUBLIC_URL", "chat.example.org", "must be a whole address"),
        ("PARLOUR_PUBLIC_URL", "https://example.org/chat", "must end after the host"),
        ("PARLOUR_DATABASE_URL", "mysql://x", "must begin with postgresql://"),
        ("PARLOUR_KNOWLEDGE_FOLDER", "missing/folder", "must be a folder that exists"),
        ("PARLOUR_DRAIN_SECONDS", "nan", "must be"),
        ("OPENAI_BASE_URL", "localhost:1234", "must be a whole address"),
    ],
)
def test_a_wrong_value_is_one_line_with_name_rule_and_example(
    environ: dict[str, str], variable: str, value: str, rule: str
) -> None:
    (line,) = problems(environ | {variable: value})
    assert line.startswith(variable)
    assert rule in line
    assert "for example" in line
    assert "\n" not in line


def test_every_mistake_is_told_at_once(environ: dict[str, str]) -> None:
    assert len(problems(environ | {"PARLOUR_PORT": "x", "PARLOUR_KNOWLEDGE": "x"})) == 2


def test_secrets_are_not_repeated_in_mistakes(environ: dict[str, str]) -> None:
    """S-8."""
    assert "hunter2" not in problems(environ | {"PARLOUR_DATABASE_URL": "mysql://me:hunter2@db"})[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nprt = 1", "server.prt in {file} is not a setting of Parlour. Did you mean server.port?"),
        ("port = 1", "port in {file} is not a setting of Parlour. Did you mean server.port?"),
        ("[sever]\nport = 1", "sever in {file} is not a setting of Parlour."),
        ("server = 1", "server in {file} must be a table."),
        ('[server]\nport = "x"', "server.port in {file} is 'x', but must be a whole number."),
        ("[[", "{file} is not valid TOML"),
    ],
)
def test_mistakes_in_the_file_name_the_file(
    environ: dict[str, str], tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    (line,) = problems(environ, config=file)
    assert line.startswith(expected.format(file=file))


def test_a_file_that_is_not_there_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    (line,) = problems(environ, config=tmp_path / "nowhere.toml")
    assert "there is no such file" in line


def test_production_needs_a_public_url(environ: dict[str, str]) -> None:
    """P-37."""
    (line,) = problems(environ | {"PARLOUR_ENVIRONMENT": "production"})
    assert line.startswith("PARLOUR_PUBLIC_URL is missing")


@pytest.mark.parametrize(
    "secret",
    [
        "secret",
        "changeme",
        "dev",
        "a" * 64,
        "changeme-changeme-changeme-changeme",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        STRONG[:31],
    ],
)
def test_production_refuses_weak_secrets(environ: dict[str, str], secret: str) -> None:
    """P-37, A-006."""
    production = {"PARLOUR_ENVIRONMENT": "production", "PARLOUR_PUBLIC_URL": "https://chat.example.org"}
    (line,) = problems(environ | production | {"PARLOUR_JWT_SECRET": secret})
    assert line.startswith("PARLOUR_JWT_SECRET")
    assert secret not in line.partition(" ")[2].partition("Set it to")[0] or len(secret) < 7
    assert load(environ=environ | {"PARLOUR_JWT_SECRET": secret}).identity.jwt_secret is not None


def test_a_strong_secret_passes() -> None:
    assert weakness(STRONG) is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().server.port = 1


def test_shown_settings_hide_secrets(environ: dict[str, str]) -> None:
    shown = dict(show(load(environ=environ | {"OPENAI_API_KEY": "sk-very-secret"})))
    assert shown["openai.api_key"] == "(set, hidden)"
    assert shown["server.port"] == "8000"
    assert "sk-very-secret" not in repr(load(environ=environ | {"OPENAI_API_KEY": "sk-very-secret"}))


def test_every_setting_says_what_it_means_and_its_example_is_accepted(environ: dict[str, str]) -> None:
    rows = [row for row in describe() if row.env]
    assert len({row.env for row in rows}) == len(rows)
    assert all(row.meaning.endswith(".") for row in rows)
