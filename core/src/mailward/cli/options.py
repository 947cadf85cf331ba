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


class AddressType(click.ParamType):
    """An address; ``<>`` and the empty text are the null address."""

    name = "ADDRESS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read ``local@domain``, with angle brackets or without."""
        from mailward.values.address import Address, AddressError

        if isinstance(value, Address):
            return value
        try:
            return Address.parse(str(value).removeprefix("<").removesuffix(">"))
        except AddressError as error:
            self.fail(str(error), param, ctx)


class MasksType(click.ParamType):
    """A mask with ``*`` and ``?``."""

    name = "MASK"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Masks:
        """Read one mask."""
        from mailward.values.masks import Masks

        return value if isinstance(value, Masks) else Masks((str(value),))
