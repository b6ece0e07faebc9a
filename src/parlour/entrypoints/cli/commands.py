"""The commands and their options. Settings are checked before anything heavy is imported (F-041).

Exit status: 0 done, 1 it could not be done, 2 the command or a setting is wrong.
"""

import asyncio
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from parlour import __version__
from parlour.settings import SettingsError, load, show, without_effect
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.principal import Role, Scope

FAILED = 1
WRONG = 2
INTERRUPTED = 130

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; else parlour.toml here or in the data folder."),
]


def run(*, application: str) -> NoReturn:
    """Run the command in ``sys.argv``; every expected failure is one clear line per mistake.

    ``application`` names (``module:function``) what makes the application: it stands above the command line.
    """
    try:
        commands(application)()
        status = 0
    except SettingsError as error:
        status = _fail(WRONG, *error.problems)
    except ParlourError as error:
        status = _fail(FAILED, str(error) + (f" ({error.cause})" if error.cause else ""))
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _fail(status: int, *lines: str) -> int:
    for line in lines:
        typer.echo(f"parlour: {line}", err=True)
    return status


def _late(name: str) -> Any:  # noqa: ANN401 - whatever stands there
    """Import by name, once the settings hold."""
    return pkgutil.resolve_name(name)


def commands(application: str) -> typer.Typer:
    """Return all commands. ``application`` names what makes the application."""
    root = typer.Typer(
        name="parlour",
        help="Parlour, a self-hosted chatbot server.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    @root.callback()
    def options(
        *,
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    _add_serve(root, application)
    _add_doctor(root)
    root.add_typer(_config_commands(), name="config")
    root.add_typer(_database_commands(), name="db")
    root.add_typer(_people_commands(), name="users")
    root.add_typer(_key_commands(), name="keys")
    return root


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - how Typer calls it
    if wanted:
        typer.echo(f"parlour {__version__}")
        raise typer.Exit


def _add_serve(root: typer.Typer, application: str) -> None:
    @root.command()
    def serve(
        host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
        port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
        config: ConfigOption = None,
    ) -> None:
        """Start the server."""
        given = {"server.host": host, "server.port": port}
        settings = load(
            config=config, overrides={name: value for name, value in given.items() if value is not None}
        )
        _late("parlour.entrypoints.cli.checking:check_rules")(settings)
        serve_until_stopped = _late("parlour.entrypoints.cli.serving:serve")
        serve_until_stopped(settings, lambda given, announce: _late(application)(given, announce))


def _add_doctor(root: typer.Typer) -> None:
    @root.command()
    def doctor(config: ConfigOption = None) -> None:
        """Look at everything the server needs, and say in words what is wrong and how to mend it."""
        settings = load(config=config)
        examine = _late("parlour.entrypoints.cli.doctor:examine")
        raise typer.Exit(0 if asyncio.run(examine(settings)) else FAILED)


def _config_commands() -> typer.Typer:
    commands = typer.Typer(help="Look at the settings.", no_args_is_help=True)

    @commands.command()
    def check(config: ConfigOption = None) -> None:
        """Say whether the settings hold, and what is wrong if they don't."""
        settings = load(config=config)
        _late("parlour.entrypoints.cli.checking:check_rules")(settings)
        typer.echo(f"The settings are fine: {settings.environment}, data in {settings.data_dir}.")
        for line in without_effect(settings):
            typer.echo(f"But without effect: {line}")

    @commands.command(name="show")
    def show_values(config: ConfigOption = None) -> None:
        """Print every setting in force. Secrets are hidden."""
        pairs = show(load(config=config))
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            typer.echo(f"{name:<{width}}  {value}")

    return commands


def _database_commands() -> typer.Typer:
    commands = typer.Typer(help="Look after the database.", no_args_is_help=True)

    @commands.command()
    def upgrade(config: ConfigOption = None) -> None:
        """Bring the database to this version. Safe to repeat, and while replicas start."""
        settings = load(config=config)
        asyncio.run(_late("parlour.entrypoints.cli.keeping:upgrade")(settings))
        typer.echo("The database is up to date.")

    return commands


def _people_commands() -> typer.Typer:
    commands = typer.Typer(help="Look after people.", no_args_is_help=True)

    @commands.command()
    def token(
        role: Annotated[Role, typer.Option(help=f"What the token may do: {', '.join(Role)}.")],
        email: Annotated[str | None, typer.Option(help="Whose it is; made if unknown.")] = None,
        config: ConfigOption = None,
    ) -> None:
        """Print a bearer token for scripts, and nothing else, on standard output."""
        settings = load(config=config)
        issue_token = _late("parlour.entrypoints.cli.keeping:issue_token")
        typer.echo(asyncio.run(issue_token(settings, role, email)))

    return commands


def _key_commands() -> typer.Typer:
    commands = typer.Typer(help="Look after API keys.", no_args_is_help=True)

    @commands.command()
    def create(
        name: Annotated[str, typer.Option(help="What the key is for, to tell it by.")],
        scope: Annotated[
            list[Scope], typer.Option(help=f"What the key may do, repeatable: {', '.join(Scope)}.")
        ],
        email: Annotated[
            str | None, typer.Option(help="Whose it is, made if unknown; unset: a person of its own.")
        ] = None,
        role: Annotated[
            Role | None, typer.Option(help="Role that the person gets; a new one is a user.")
        ] = None,
        days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it expires.")] = None,
        plan: Annotated[str | None, typer.Option(help="Whose allowances it has.")] = None,
        config: ConfigOption = None,
    ) -> None:
        """Print a new API key, and nothing else, on standard output. It is kept nowhere else."""
        settings = load(config=config)
        make_key = _late("parlour.entrypoints.cli.keeping:make_key")
        wanted = {"name": name, "scopes": scope, "email": email, "role": role, "days": days, "plan": plan}
        typer.echo(asyncio.run(make_key(settings, **wanted)))

    @commands.command(name="list")
    def list_keys(config: ConfigOption = None) -> None:
        """List everybody's API keys, newest first; the keys themselves are not kept."""
        settings = load(config=config)
        for line in asyncio.run(_late("parlour.entrypoints.cli.keeping:list_keys")(settings)):
            typer.echo(line)

    @commands.command()
    def revoke(
        key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `parlour keys list` tells.")],
        config: ConfigOption = None,
    ) -> None:
        """Revoke an API key; running servers refuse it within 5 s."""
        settings = load(config=config)
        asyncio.run(_late("parlour.entrypoints.cli.keeping:revoke_key")(settings, key_id))
        typer.echo("The key is revoked.")

    return commands
