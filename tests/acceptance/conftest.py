"""Fixtures of the acceptance tests: the real program, real and scripted next hops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.config import merged
from harness.gateway import Gateway, running
from harness.hop import Hop, open_hop
from harness.servers import Postfix, Sink, open_postfix, open_sink

if TYPE_CHECKING:
    Require = Callable[..., None]

Start = Callable[..., Gateway]


@pytest.fixture
def hop() -> Iterator[Hop]:
    """A scripted next hop."""
    with open_hop() as opened:
        yield opened


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Start]:
    """Starts gateways: ``gateway(hop, antivirus={"on_infected": ["reject"]})``; the hop becomes the default route."""
    with ExitStack() as stack:
        count = 0

        def start(
            route: Hop | Sink | Postfix | str, files: Mapping[str, str] | None = None, **settings: Any
        ) -> Gateway:
            nonlocal count
            count += 1
            way = route if isinstance(route, str) else route.route
            config = merged({"relay": {"default": way}}, settings)
            return stack.enter_context(running(tmp_path / f"gateway{count}", config, files))

        yield start


@pytest.fixture
def sink(require: Require, tmp_path: Path) -> Iterator[Callable[..., Sink]]:
    """Starts smtp-sink with the options given."""
    require("smtp-sink")
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(open_sink(tmp_path / "sink", *options))


@pytest.fixture
def postfix(require: Require) -> Iterator[Callable[[Hop], Postfix]]:
    """Starts a private Postfix that relays everything to a next hop of its own."""
    require("postfix")
    with ExitStack() as stack:
        yield lambda onward: stack.enter_context(open_postfix(onward.port))
