"""What else of the settings can be wrong: the files that they name."""

from parlour.features.moderation.rules.own import OwnRules
from parlour.settings import Settings, SettingsError
from parlour.vocabulary.errors import InvalidInput


def check_rules(settings: Settings) -> None:
    """Read the moderation rules. Raises SettingsError with the file and the line that is wrong."""
    file = settings.moderation.rules
    if file is None:
        return
    try:
        OwnRules.read(file)
    except InvalidInput as error:
        where = f"PARLOUR_MODERATION_RULES (moderation.rules) names {file}"
        raise SettingsError(f"{where}, which does not hold: {error} Mend the file.") from None
