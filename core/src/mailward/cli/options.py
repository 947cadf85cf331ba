"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mailward.values.address import Address
    from mailward.values.masks import Masks

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="MAILWARD_CONFIG",
    metavar="FILE",
    help="Configuration file (or MAILWARD_CONFIG); without one, the built-in defaults.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def address(value: str) -> Address:
    """Read ``local@domain``, with angle brackets or without; ``<>`` and the empty text are the null address."""
    from mailward.values.address import Address, AddressError

    try:
        return Address.parse(value.removeprefix("<").removesuffix(">"))
    except AddressError as error:
        raise click.BadParameter(str(error)) from error


def mask(value: str) -> Masks:
    """Read one mask with ``*`` and ``?``."""
    from mailward.values.masks import Masks

    return Masks((value,))
