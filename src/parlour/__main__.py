"""``parlour`` and ``python -m parlour``: the command line, told by name which application it drives."""

from parlour.entrypoints.cli.commands import run

# By name, because importing the whole server takes longer than saying that a setting is wrong (F-041).
APPLICATION = "parlour.app:create_app"


def main() -> None:
    """Run the command that was typed, and end with its exit status."""
    run(application=APPLICATION)


if __name__ == "__main__":
    main()
