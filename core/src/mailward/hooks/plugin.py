"""The base class of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mailward.hooks.context import Context
from mailward.hooks.failure import OnFailure
from mailward.hooks.settings import NoSettings
from mailward.values.action import Action
from mailward.values.finding import Finding, Kind

if TYPE_CHECKING:
    import click


def settings_type(kind: type[Plugin]) -> type[Any]:
    """The ``Settings`` class of a plugin class; `NoSettings` where it has none.

    The base class declares no ``Settings``, so that a subclass may nest a class or name one.
    """
    found = getattr(kind, "Settings", NoSettings)
    return found if isinstance(found, type) else NoSettings


class Plugin:
    """A plugin: settings in, hooks out.

    Subclass it, nest a frozen attrs ``Settings`` class, and mark methods with `hookimpl`. The core
    builds one instance for each distinct set of settings, calls ``start`` before the first hook and
    ``stop`` after the last. An instance may be asked by several sessions in turn, so it keeps no
    state of a message.

    ``on_failure`` and ``timeout_s`` are defaults that the administrator can override in the
    plugin's section, as he can set ``shadow = true``.

    Two things `setup` may set, that follow from the settings: ``idle`` names hooks that have nothing
    to do, which the core then does not call; ``by_locality`` says that what is decided differs between
    recipients in the house and others (`Recipient.local`), so that the core makes a copy for each.
    """

    on_failure: ClassVar[OnFailure] = OnFailure.DEFER
    timeout_s: ClassVar[float] = 30.0
    version: ClassVar[str] = ""

    settings: Any
    context: Context
    idle: frozenset[str] = frozenset()
    by_locality: bool = False

    def __init__(self, settings: Any = None, context: Context | None = None) -> None:
        self.settings = settings_type(type(self))() if settings is None else settings
        self.context = context or Context(name=type(self).__name__.lower())
        self.setup()

    def setup(self) -> None:
        """Called once by the constructor, for what the instance derives from its settings.

        Raise `ValueError` with a message for the administrator where settings contradict each other.
        """

    @classmethod
    def commands(cls) -> Sequence[click.Command]:
        """Commands that this plugin adds to ``mailward``, made with click (a group for more than one).

        They are there where the configuration enables the plugin, and all take ``-c FILE``. The object
        of their context (``click.pass_obj``) is a `Desk`: the plugin's settings and context. To say what went
        wrong, raise ``click.ClickException``; the exit status is then 1.
        """
        return ()

    @property
    def needs_network(self) -> bool:
        """Whether the hooks that run in a scan process open network connections or look names up.

        Scan processes have no network at all unless a plugin says so here; it may depend on the
        settings. Sockets of the file system (``AF_UNIX``) work in any case.
        """
        return False

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.context.name

    def finding(
        self,
        rule: str,
        part: Any = None,
        *,
        kind: Kind = Kind.CONTENT,
        name: str = "",
        detail: str = "",
        score: float = 0.0,
        action: Action | None = None,
    ) -> Finding:
        """A finding of this plugin. ``part`` is a part, a part path, or None for the whole message."""
        path = part if isinstance(part, str) else getattr(part, "path", "")
        return Finding(kind, self.name, rule, path, name, score, detail, action)
