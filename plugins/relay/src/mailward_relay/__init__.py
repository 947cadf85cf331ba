"""The relay plugin: who may relay, where mail goes next, and how it gets there."""

from mailward_relay.plugin import Relay
from mailward_relay.route_settings import Tls
from mailward_relay.settings import RelaySettings

__version__ = "0.1.0"

__all__ = ["Relay", "RelaySettings", "Tls"]
