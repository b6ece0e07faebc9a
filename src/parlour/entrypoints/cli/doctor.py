"""``parlour doctor``: looks at everything the server needs, and says in words what is wrong."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import typer

from parlour.entrypoints.cli.checking import check_rules
from parlour.entrypoints.cli.findings import Finding, Mark
from parlour.entrypoints.cli.reaching import reach
from parlour.entrypoints.cli.serving import listen
from parlour.entrypoints.http.application import STATIC
from parlour.entrypoints.http.page import INDEX
from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.service import Knowledge
from parlour.features.people.keys import FILE, FOLDER, signing_secret
from parlour.infra.storage.opening import open_database
from parlour.llm.cost import Price, Prices
from parlour.llm.orchestra.profile import profile_of
from parlour.settings import Settings, SettingsError, given_prices, named_models, weakness
from parlour.settings.declaring import environment_name
from parlour.settings.loading import table_name
from parlour.settings.naming import carried
from parlour.vocabulary.errors import ParlourError

PROMPT_TOKENS = 1000  # instructions, a few passages and a short question


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
    async for finding in reach(settings):
        yield finding
    if settings.moderation.rules is not None:
        yield _rules(settings)
    if settings.has_budgets:
        for finding in _budgets(settings):
            yield finding
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


def _rules(settings: Settings) -> Finding:
    try:
        check_rules(settings)
    except SettingsError as error:
        return Finding(Mark.FAIL, "rules", str(error))
    return Finding(Mark.OK, "rules", f"{settings.moderation.rules} can be read.")


def _budgets(settings: Settings) -> Iterator[Finding]:
    """Compare every budget with what the cheapest model can take for one answer at worst."""
    name = "budgets"
    prices = Prices({each: Price(**given.model_dump()) for each, given in given_prices(settings).items()})
    worst = {}
    for section, model in named_models(settings):
        ref = carried(settings, f"{section}/{model}")
        provider, _, model_name = ref.partition("/")
        length = min(settings.models.reply_tokens, profile_of(provider, model_name).output_tokens)
        worst[ref] = prices.worst_case_usd(provider, model_name, PROMPT_TOKENS, length)
    for ref in (ref for ref, cost in worst.items() if cost is None):
        words = (
            f'The price of {ref} is unknown, so it is not asked while a budget holds. Add [prices."{ref}"]'
        )
        yield Finding(Mark.WARN, name, words)
    known = {ref: cost for ref, cost in worst.items() if cost is not None}
    if not known:
        return
    cheapest = min(known, key=lambda ref: known[ref])
    for setting, money in _money(settings):
        if money < known[cheapest]:
            words = (
                f"{setting} is {money}, but one answer of the cheapest model, {cheapest}, may cost "
                f"{known[cheapest]:.4f} at worst. Raise it, or lower PARLOUR_REPLY_TOKENS."
            )
            yield Finding(Mark.WARN, name, words)


def _money(settings: Settings) -> Iterator[tuple[str, Decimal]]:
    for field in type(settings.budgets).model_fields:
        if (money := getattr(settings.budgets, field)) is not None:
            yield environment_name(settings.budgets, field), money
    for plan, given in settings.plans.items():
        for field in ("budget_day", "budget_month"):
            if (money := getattr(given, field)) is not None:
                yield table_name("plans", plan, field), money


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
