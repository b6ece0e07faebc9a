"""The settings of moderation: mistakes are told before the server starts (O-7)."""

from pathlib import Path

import pytest

from parlour.features.moderation.masking.personal import ALL_KINDS, kinds_named
from parlour.features.moderation.values import Action, Stage
from parlour.settings import SettingsError, load
from parlour.settings.moderation import MASKED_KINDS, STAGES, ModerationSettings


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with nothing but a data folder."""
    monkeypatch.chdir(tmp_path)
    return {"PARLOUR_DATA_DIR": str(tmp_path / "data")}


def test_nothing_is_judged_or_masked_unless_somebody_wants_it() -> None:
    wanted = ModerationSettings()
    assert (wanted.input, wanted.retrieved, wanted.output) == ("off", "off", "off")
    assert (wanted.provider_stages, wanted.masked_kinds, wanted.rules) == ((), (), None)


def test_settings_and_features_speak_of_the_same_things() -> None:
    assert set(STAGES) == {stage.value for stage in Stage}
    assert kinds_named(MASKED_KINDS) == ALL_KINDS
    for action in Action:
        assert ModerationSettings(input=action.value).input == action.value


@pytest.mark.parametrize(
    ("written", "kinds"),
    [("off", ()), ("all", MASKED_KINDS), (" E-Mail, IBAN ", ("e-mail", "iban")), ("", ())],
)
def test_kinds_are_listed_in_any_case(written: str, kinds: tuple[str, ...]) -> None:
    assert ModerationSettings(masking=written).masked_kinds == kinds


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"PARLOUR_MODERATION_INPUT": "maybe"}, "must be 'off', 'flag', 'mask' or 'block'"),
        ({"PARLOUR_MASKING": "e-mail, names"}, "names 'names'"),
        ({"PARLOUR_MODERATION_PROVIDER": "input, everything"}, "names 'everything'"),
        ({"PARLOUR_MODERATION_RULES": "/nowhere/rules.txt"}, "must be a file that exists"),
        ({"PARLOUR_MODERATION_URL": "example.com"}, "must be a whole address"),
        ({"PARLOUR_MODERATION_PROVIDER": "input"}, "PARLOUR_MODERATION_INPUT is off"),
        (
            {"PARLOUR_MODERATION_PROVIDER": "input", "PARLOUR_MODERATION_INPUT": "block"},
            "Set OPENAI_API_KEY, or PARLOUR_MODERATION_URL",
        ),
    ],
)
def test_a_mistake_is_told_with_its_remedy(environ: dict[str, str], names: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ | names)
    assert said in str(caught.value)


def test_a_judge_may_be_elsewhere(environ: dict[str, str]) -> None:
    wanted = {
        "PARLOUR_MODERATION_PROVIDER": "output",
        "PARLOUR_MODERATION_OUTPUT": "block",
        "PARLOUR_MODERATION_URL": "http://127.0.0.1:9000/v1/",
    }
    assert load(environ=environ | wanted).moderation.provider_url == "http://127.0.0.1:9000/v1"
