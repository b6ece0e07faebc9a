"""The few cues that come with Parlour: orders to the model in looked-up text, keys in an answer.

Neither is a wall. An injected order is assumed to succeed some day, which is why looked-up text is data with
its source to every model and no secret is ever in a prompt (LLM01, LLM07); a cue tells the owner where to
look. Both lists are short on purpose: a word too many would flag honest manuals.
"""

from typing import Final

from parlour.features.moderation.masking.personal import Kind, find
from parlour.features.moderation.rules.own import OwnRules

_INJECTION: Final = (
    # Orders to forget what was said before, in the languages that are met most.
    r"/\b(ignore|disregard|forget|override)\s+(all\s+|any\s+)?(of\s+)?(the\s+|your\s+|my\s+)?(previous|prior|above|earlier"
    r"|preceding|foregoing)\s+(instructions?|prompts?|messages?|rules|directions|context)\b/",
    r"/\b(ignore|disregard|forget|override)\s+(all\s+)?(your|the)\s+(system\s+)?(instructions|prompt|guidelines|rules)\b/",
    r"/\b(ignorier|vergiss|missachte)\w*\s+(alle\s+)?(deine\s+|die\s+)?(vorherigen|bisherigen|obigen|früheren)\s+\w+/",
    r"/\b(ignora|olvida|descarta)\s+(todas\s+)?(las\s+|tus\s+)?(instrucciones|indicaciones|reglas)\s+(anteriores|previas)\b/",
    r"/\b(ignore[zr]?|oublie[zr]?)\s+(toutes\s+)?(les\s+|tes\s+|vos\s+)?(instructions|consignes|règles)\s+(précédentes|ci-dessus)/",
    r"/\b(ignore|esqueça)\s+(todas\s+)?(as\s+|suas\s+)?(instruções|regras)\s+(anteriores|acima)/",
    r"/忽略(之前|以上|上面|先前|前面)?的?(所有|全部)?的?(指令|指示|提示|规则)/",
    r"/игнорируй(те)?\s+(все\s+)?(предыдущие|прежние)\s+(инструкции|указания)/",
    # A new role, or a turn that somebody else than the server made up.
    r"/\b(new|updated|real|hidden)\s+(system\s+)?instructions?\s*:/",
    r"/\byou\s+are\s+now\s+(in\s+)?(developer|debug|jailbreak|dan|god)\s*mode\b/",
    r"/(<\||\[)\/?(im_start|im_end|system|inst|endoftext|assistant)(\|>|\])/",
    r"/<\/?(system|assistant|instructions?)(_prompt)?>/",
    # What an injected order mostly wants.
    r"/\b(reveal|print|repeat|output|show|send)\s+(me\s+)?(your|the)\s+(entire\s+|full\s+|whole\s+)?(system\s+prompt"
    r"|hidden\s+instructions|initial\s+instructions)\b/",
    r"/\bdo\s+not\s+(tell|inform|mention\s+(this|it)\s+to)\s+(the\s+)?user\b/",
)
# Invisible characters that carry text past a reader's eyes: Unicode tags (of which the flag of Scotland has
# six), and runs of zero-width ones.
_HIDDEN: Final = ("/[\U000e0020-\U000e007e]{8,}/", "/[\u200b\u200c\u200d\u2060]{8,}/")

_NAMES: Final = {"injection": "cue: orders to the model", "hidden": "cue: hidden text", "key": "cue: key"}


class InjectionCues:
    """Orders to the model in text that was looked up."""

    def __init__(self) -> None:
        """Read the cues."""
        self._orders = OwnRules(_INJECTION)
        self._hidden = OwnRules(_HIDDEN)

    def found_in(self, text: str) -> list[str]:
        """Return the names of the cues in ``text``."""
        found = [_NAMES["injection"]] if self._orders.found_in(text) else []
        return [*found, _NAMES["hidden"]] if self._hidden.found_in(text) else found

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where they are."""
        return sorted([*self._orders.spans(text), *self._hidden.spans(text)])


class KeyCues:
    """Keys, tokens and passwords in an answer that nobody but the model brought up."""

    _KINDS: Final = frozenset({Kind.KEY})

    def __init__(self, heard: tuple[str, ...] = ()) -> None:
        """Take what was said before: to repeat a person's own words gives nothing away."""
        self._heard = heard

    def found_in(self, text: str) -> list[str]:
        """Return the name of this cue if a key is in ``text``."""
        return [_NAMES["key"]] if self.spans(text) else []

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where the keys are."""
        return [
            (start, end)
            for start, end, _ in find(text, self._KINDS)
            if not any(text[start:end] in said for said in self._heard)
        ]
