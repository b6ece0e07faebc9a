"""``parlour doctor``: looks at everything the server needs, and says in words what is wrong."""

import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

import typer

from parlour import __version__
from parlour.entrypoints.cli.serving import listen
from parlour.entrypoints.http.application import STATIC
from parlour.entrypoints.http.page import INDEX
from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.service import Knowledge
from parlour.features.people.keys import FILE, FOLDER, signing_secret
from parlour.infra.storage.opening import open_database
from parlour.infra.web.outbound import open_session
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.settings import Settings, weakness
from parlour.vocabulary.errors import BadKey, ParlourError, ProviderError


class Mark(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``words`` include the remedy where something is wrong."""

    mark: Mark
    name: str
    words: str


async def examine(settings: Settings) -> bool:
    """Print a line for every finding, and tell whether nothing stands in the way of serving."""
    healthy = True
    async for finding in _findings(settings):
        healthy = healthy and finding.mark is not Mark.FAIL
        typer.echo(f"{finding.mark:<5} {finding.name:<14} {finding.words}")
    typer.echo(
        "Parlour can serve." if healthy else "Parlour cannot serve until the lines with fail are mended."
    )
    return healthy


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    yield _data_folder(settings)
    yield _secrets(settings)
    yield await _database(settings)
    yield await _provider(settings)
    yield await _knowledge(settings)
    yield _page()
    yield _port(settings)


def _data_folder(settings: Settings) -> Finding:
    name, folder = "data folder", settings.data_dir
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding(Mark.OK, name, f"{folder} will be made at the first start.")
        return Finding(
            Mark.FAIL, name, f"{folder} cannot be made: {parent} is not writable. Set PARLOUR_DATA_DIR."
        )
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            Mark.FAIL, name, f"{folder} is not a folder that this user may write. Change its rights."
        )
    if stat.S_IMODE(folder.stat().st_mode) & stat.S_IWOTH:
        return Finding(Mark.WARN, name, f"Everybody may write to {folder}. Run: chmod o-w {folder}")
    return Finding(Mark.OK, name, f"{folder} is writable.")


def _secrets(settings: Settings) -> Finding:
    name = "secrets"
    shared = settings.identity.jwt_secret
    if shared is not None and (reason := weakness(shared.get_secret_value())):
        words = f"PARLOUR_JWT_SECRET {reason}. Set it to the output of: openssl rand -base64 48"
        return Finding(Mark.WARN, name, words)
    if not (settings.data_dir / FOLDER / FILE).exists():
        return Finding(Mark.OK, name, "One will be made at the first start.")
    try:
        signing_secret(settings.data_dir)
    except ParlourError as error:
        return Finding(Mark.FAIL, name, str(error))
    return Finding(Mark.OK, name, "Only this user can read them.")


async def _database(settings: Settings) -> Finding:
    name = "database"
    embedded = settings.database_url is None
    if embedded and not (settings.data_dir / "parlour.db").exists():
        return Finding(Mark.OK, name, "The embedded one will be made at the first start.")
    try:
        database = open_database(settings.storage_url)
        try:
            await database.check()
        finally:
            await database.close()
    except ParlourError as error:
        return Finding(Mark.FAIL, name, _with_cause(error))
    kind = "The embedded database" if embedded else "The database of PARLOUR_DATABASE_URL"
    return Finding(Mark.OK, name, f"{kind} answers and is up to date.")


async def _provider(settings: Settings) -> Finding:
    name = "provider"
    if settings.provider == "builtin":
        words = "The built-in one answers from the knowledge base. Set OPENAI_API_KEY for a language model."
        return Finding(Mark.OK, name, words)
    chosen, key = settings.openai, settings.openai.api_key
    async with open_session(user_agent=f"parlour/{__version__}") as session:
        model = OpenAICompatible(
            session=session,
            base_url=chosen.base_url,
            api_key=key.get_secret_value() if key else "",
            model=chosen.model,
        )
        try:
            offered = await model.models()
        except BadKey as error:
            words = f"{chosen.base_url} refuses the key. Check OPENAI_API_KEY. {error.cause or ''}"
            return Finding(Mark.FAIL, name, words.strip())
        except ProviderError as error:
            # Parlour starts all the same and answers when the provider is back.
            words = f"{chosen.base_url} does not answer. Check OPENAI_BASE_URL. {_with_cause(error)}"
            return Finding(Mark.WARN, name, words)
    if offered and chosen.model not in offered:
        words = f"{chosen.base_url} does not offer {chosen.model}. Set OPENAI_MODEL to, say, {offered[0]}"
        return Finding(Mark.WARN, name, words)
    return Finding(Mark.OK, name, f"{chosen.base_url} answers and offers {chosen.model}.")


async def _knowledge(settings: Settings) -> Finding:
    name = "knowledge"
    if not settings.knowledge.enabled:
        return Finding(Mark.OK, name, "Switched off by PARLOUR_KNOWLEDGE.")
    folder = settings.knowledge.folder
    folders = [bundled_folder(), *([folder] if folder else [])]
    knowledge = await Knowledge.load(folders)
    if bad := knowledge.unreadable:
        words = f"{len(bad)} files cannot be used; the first is {bad[0].path}: {bad[0].reason}"
        return Finding(Mark.WARN, name, words)
    if folder and not (await Knowledge.load([folder])).document_count:
        words = (
            f"No Markdown or text file lies in {folder}. Put some there, or mend PARLOUR_KNOWLEDGE_FOLDER."
        )
        return Finding(Mark.WARN, name, words)
    where = f"{folder} and the bundled guides" if folder else "the bundled guides"
    return Finding(Mark.OK, name, f"{knowledge.document_count} documents from {where}.")


def _page() -> Finding:
    if (STATIC / INDEX).is_file():
        return Finding(Mark.OK, "page", "Built.")
    return Finding(Mark.WARN, "page", "Not built: only the API works. In a clone, run: make setup")


def _port(settings: Settings) -> Finding:
    try:
        listen(settings.server.host, settings.server.port).close()
    except ParlourError as error:
        return Finding(Mark.WARN, "port", f"{error} (Or Parlour runs already.)")
    return Finding(Mark.OK, "port", f"{settings.server.host}:{settings.server.port} is free.")


def _with_cause(error: ParlourError) -> str:
    return f"{error} ({error.cause})" if error.cause else str(error)
