"""How settings are read: overrides over the environment over one TOML file, every mistake told in words."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from parlour.settings.declaring import Section
from parlour.settings.model import Settings

CONFIG_FILE = "parlour.toml"
PREFIX = "PARLOUR_"
# Read by the build and by the tests, never by the server.
FOREIGN_NAMES = re.compile(r"PARLOUR_(SKIP_UI|TEST_\w+)$")
MINIMUM_SECRET_BYTES = 32  # RFC 7518, 3.2: an HS256 key is at least as long as the hash
# Secrets printed in manuals and sample files: whoever reads those can sign tokens.
SAMPLE_SECRETS = re.compile(
    r"secret|change.?me|password|example|default|your[-_ ]|jwt.token|insecure|development|testing|123456",
    re.IGNORECASE,
)


# Ollama is looked for on this machine, so its absence shows only later.
MISSING_PROVIDER = {
    "openai": "OpenAI has no key. Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs none.",
    "anthropic": "Anthropic has no key. Set ANTHROPIC_API_KEY.",
    "gemini": "Gemini has no key. Set GEMINI_API_KEY.",
    "compatible": "there is no such server. Set PARLOUR_COMPATIBLE_BASE_URL.",
}


class SettingsError(Exception):
    """The settings don't hold. ``problems`` has one line for each mistake, with its remedy."""

    def __init__(self, *problems: str) -> None:
        """Keep the lines in the order in which they should be mended."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Row(NamedTuple):
    """One setting, as the reference tells it. ``name`` is its path in the file, such as ``server.port``.

    ``env`` is empty for what only the file can give.
    """

    name: str
    env: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One setting's place in the model."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def env(self) -> str:
        extra = self.field.json_schema_extra
        assert isinstance(extra, dict)  # noqa: S101 - every leaf is declared by _setting
        return str(extra["env"])

    @property
    def names(self) -> tuple[str, ...]:
        extra = self.field.json_schema_extra
        assert isinstance(extra, dict)  # noqa: S101 - as above
        also = extra["also"]
        assert isinstance(also, list)  # noqa: S101 - as above
        return (self.env, *map(str, also))

    def given_in(self, environ: Mapping[str, str]) -> str | None:
        """Return its text in the environment; an empty one is none."""
        return next((environ[name] for name in self.names if environ.get(name)), None)


def _leaves(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _leaves(kind, (*path, name))
        elif name not in _NAMED:
            yield _Leaf((*path, name), field)


# Tables that the operator names, such as [plans.gold], with what stands in each. Only the file has them.
_NAMED: dict[str, type[Section]] = {
    name: kind
    for name, field in Settings.model_fields.items()
    for kind in get_args(field.annotation)[1:]
    if isinstance(kind, type) and issubclass(kind, Section)
}


def describe() -> tuple[Row, ...]:
    """Return every setting with its names, default and meaning, for the reference page."""
    single = [
        Row(leaf.name, leaf.env, _default_in_words(leaf.field), leaf.field.description or "")
        for leaf in _leaves()
    ]
    named = [
        Row(f"{table}.<name>.{name}", "", "", field.description or "")
        for table, kind in _NAMED.items()
        for name, field in kind.model_fields.items()
    ]
    return (*single, *named)


def _default_in_words(field: FieldInfo) -> str:
    return f"{field.default:g}" if isinstance(field.default, float) else _in_words(field.default)


def show(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return every setting's name and value in force. Secrets are only said to be set."""
    pairs = []
    for leaf in _leaves():
        value: Any = settings
        for step in leaf.path:
            value = getattr(value, step)
        pairs.append((leaf.name, _in_words(value)))
    for table in _NAMED:
        for name, section in getattr(settings, table).items():
            given = section.model_dump(exclude_unset=True)
            pairs.extend((table_name(table, name, key), _in_words(value)) for key, value in given.items())
    return tuple(pairs)


def _in_words(value: object) -> str:
    """Write a value as an operator would. What is secret is only said to be set."""
    match value:
        case None:
            return ""
        case SecretStr():
            return "(set, hidden)"
        case bool():
            return "on" if value else "off"
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def table_name(table: str, name: str, *rest: str) -> str:
    """Write the path of a named table as TOML does."""
    quoted = name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'
    return ".".join((table, quoted, *rest))


def load(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings: ``overrides`` (by path, ``server.port``) over the environment over one TOML file.

    ``config`` names the file; without it ``parlour.toml`` in the working directory is taken, else the one in
    the data folder, else none. Raises :class:`SettingsError` with a line for each mistake.
    """
    environ = os.environ if environ is None else environ
    leaves = tuple(_leaves())
    from_environment = {leaf.path: text for leaf in leaves if (text := leaf.given_in(environ)) is not None}
    file = _find_file(config, environ)
    tree = _read_file(file) if file else {}
    problems = [*_unknown_names(environ, leaves), *_unknown_keys(tree, file, leaves)]
    if problems:
        raise SettingsError(*problems)

    for path, value in from_environment.items():
        _put(tree, path, value)
    for name, override in (overrides or {}).items():
        _put(tree, tuple(name.split(".")), override)
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        by_path = {leaf.path: leaf for leaf in leaves}
        lines = [_mistake(details, by_path, from_environment, file) for details in error.errors()]
        raise SettingsError(*dict.fromkeys(lines)) from None
    if contradictions := tuple(_contradictions(settings)):
        raise SettingsError(*contradictions)
    return settings


def _find_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is not None:
        if not config.is_file():
            raise SettingsError(f"--config names {config}, but there is no such file. Check the path.")
        return config
    default = Settings.model_fields["data_dir"].default
    data_dir = Path(environ.get("PARLOUR_DATA_DIR") or default).expanduser()
    return next((path for path in (Path(CONFIG_FILE), data_dir / CONFIG_FILE) if path.is_file()), None)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read ({error}). Check the file and its rights.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}. Mend that line.") from None


def _unknown_names(environ: Mapping[str, str], leaves: tuple[_Leaf, ...]) -> Iterator[str]:
    known = [leaf.env for leaf in leaves]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not FOREIGN_NAMES.match(name):
            yield f"{name} is not a setting of Parlour. {_suggestion(name, known)}"


def _unknown_keys(tree: Mapping[str, Any], file: Path | None, leaves: tuple[_Leaf, ...]) -> Iterator[str]:
    known = [leaf.name for leaf in leaves]
    sections = {leaf.path[0] for leaf in leaves if len(leaf.path) > 1}
    for key, value in tree.items():
        if key in _NAMED:
            yield from _unknown_in_named(key, value, file)
            continue
        if key in sections and isinstance(value, dict):
            names = [f"{key}.{inner}" for inner in value]
        else:
            names = [key]
        for name in names:
            if name not in known and name not in sections:
                yield f"{name} in {file} is not a setting of Parlour. {_suggestion(name, known)}"


def _unknown_in_named(table: str, value: object, file: Path | None) -> Iterator[str]:
    known = list(_NAMED[table].model_fields)
    for name, section in value.items() if isinstance(value, dict) else ():
        for key in section if isinstance(section, dict) else ():
            if key not in known:
                where = f"{table_name(table, name, key)} in {file}"
                yield f"{where} is not a setting of Parlour. {_suggestion(key, known)}"


def _suggestion(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"Did you mean {nearest}? Correct the name or remove it."


def _put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for step in path[:-1]:
        inner = tree.get(step)
        tree[step] = inner if isinstance(inner, dict) else {}
        tree = tree[step]
    tree[path[-1]] = value


_IN_WORDS = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be on or off",
    "bool_type": "must be on or off",
    "string_type": "must be text",
    "path_type": "must be a path",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "value_error": "{error}",
}


def _mistake(
    details: ErrorDetails,
    leaves: Mapping[tuple[str, ...], _Leaf],
    from_environment: Mapping[tuple[str, ...], str],
    file: Path | None,
) -> str:
    path = tuple(str(step) for step in details["loc"])
    if path[0] in _NAMED:
        return _mistake_in_named(details, path, file)
    leaf = next((leaves[path[:end]] for end in range(len(path), 0, -1) if path[:end] in leaves), None)
    if leaf is None:
        return f"{'.'.join(path)} in {file} must be a table. Write [{path[0]}] on a line of its own."
    where = leaf.env if leaf.path in from_environment or file is None else f"{leaf.name} in {file}"
    secret = "SecretStr" in str(leaf.field.annotation)
    return _rule(details, where, leaf.field, secret=secret)


def _mistake_in_named(details: ErrorDetails, path: tuple[str, ...], file: Path | None) -> str:
    where = f"{table_name(*path[:3])} in {file}" if len(path) > 1 else f"{path[0]} in {file}"
    if details["type"] == "missing":
        return f"{where} is missing. Add it."
    if len(path) < 3:  # not [plans.gold], but plans, or plans.gold as a value
        return f"{where} must be a table. Write, for example, [{table_name(path[0], *path[1:] or ('name',))}]"
    return _rule(details, where, _NAMED[path[0]].model_fields[path[2]])


def _rule(details: ErrorDetails, where: str, field: FieldInfo, *, secret: bool = False) -> str:
    template = _IN_WORDS.get(details["type"], "is not right")
    rule = template.format(**details.get("ctx", {}))
    given = "" if secret else f" is {str(details['input'])[:100]!r}, but"
    example = (field.examples or [""])[0]
    return f"{where}{given} {rule}. Set it to, for example, {example}"


def _contradictions(settings: Settings) -> Iterator[str]:
    if (chosen := settings.models.default_provider) in MISSING_PROVIDER and chosen not in settings.providers:
        yield f"PARLOUR_DEFAULT_PROVIDER is {chosen!r}, but {MISSING_PROVIDER[chosen]}"
    yield from _unjudged(settings)
    if settings.production:
        yield from _weak(settings)


def _unjudged(settings: Settings) -> Iterator[str]:
    """Find texts that shall be judged by somebody who cannot, or where nothing would come of it."""
    wanted = settings.moderation
    for stage in wanted.provider_stages:
        if getattr(wanted, stage) == "off":
            name = f"PARLOUR_MODERATION_{stage.upper()}"
            yield f"PARLOUR_MODERATION_PROVIDER names {stage!r}, but {name} is off. Set it to flag or block."
    elsewhere = wanted.provider_url or wanted.provider_key
    if wanted.provider_stages and not elsewhere and not settings.openai.configured:
        yield (
            "PARLOUR_MODERATION_PROVIDER wants a provider to judge, but there is none. "
            "Set OPENAI_API_KEY, or PARLOUR_MODERATION_URL for another server."
        )


def _weak(settings: Settings) -> Iterator[str]:
    if settings.server.public_url is None:
        yield (
            "PARLOUR_PUBLIC_URL is missing, and production needs it. "
            "Set it to the address that browsers use, for example https://chat.example.org"
        )
    secret = settings.identity.jwt_secret
    if secret is not None and (reason := weakness(secret.get_secret_value())):
        yield (
            f"PARLOUR_JWT_SECRET {reason}, and production refuses that. "
            "Set it to the output of: openssl rand -base64 48"
        )


def weakness(secret: str) -> str | None:
    """Say what is wrong with a secret that signs tokens, or return None when nothing is seen."""
    if len(secret.encode()) < MINIMUM_SECRET_BYTES:
        return f"is shorter than {MINIMUM_SECRET_BYTES} bytes"
    if len(set(secret)) < 10:  # 32 random hexadecimal digits have fewer once in 10,000 times
        return "repeats the same few characters"
    if SAMPLE_SECRETS.search(secret):
        return "looks like a sample that others know"
    return None
