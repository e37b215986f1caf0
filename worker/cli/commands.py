"""The commands that there are. Each one's module is imported when it is called, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

from worker.cli.told import Told
from worker.settings import SettingsError

_COMMANDS = {
    "migrate": "migrate",
    "worker": "work",
    "doctor": "doctor",
    "status": "status",
    "preview": "exports",
    "export": "exports",
    "file": "files",
    "claim": "exports",
    "health": "health",
    "secret": "operate",
    "dead-letters": "operate",
    "pause": "operate",
    "resume": "operate",
    "recover": "operate",
    "uninstall": "uninstall",
    "version": "work",
}
"""Which module of this package holds which command, in the order of the help."""


class _OnDemand(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"worker.cli.{_COMMANDS[name]}"), name.replace("-", "_"))
        return command


@click.group(cls=_OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
def bilag() -> None:
    """Approved expense claims, each exactly once, from Postgres into the accounting system.

    Settings come from the environment; .env.example describes them.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command. Its exit code."""
    try:
        answer = bilag.main(args=list(arguments), prog_name="bilag", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SettingsError as error:
        Told(str(error)).show()
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    return answer if isinstance(answer, int) else 0
