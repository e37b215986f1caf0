"""``bilag file``: the file of a run, for those at a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from worker.cli.people import people
from worker.cli.show import json_option, print_json
from worker.cli.told import Told


@click.command()
@click.argument("run")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where to; a folder takes the file's own name. Default: stdout."
)
@json_option
def file(run: str, output: Path | None, as_json: bool) -> None:
    """Fetch the file of a run."""
    with people() as asked:
        content: bytes = asked.value("select bilag.export_file(%s::uuid)", run)
        told: dict[str, Any] = asked.value("select bilag.export_status(%s::uuid) -> 'file'", run)
    if output is None and not as_json:
        click.echo(content, nl=False)
        return
    if output is not None:
        output = output / told["name"] if output.is_dir() else output
        _write(output, content)
    if as_json:
        print_json(told)
    else:
        click.echo(f"{output}: {told['bytes']} bytes, sha256 {told['sha256']}")


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as sink:
            sink.write(content)
    except FileExistsError:
        raise Told(f"{path} exists already.") from None
    except OSError as error:
        raise Told(f"{path} cannot be written: {error.strerror}.") from None
