"""Mailward: a mail security gateway whose every feature is a plugin.

This is the door. What a plugin, an embedding program or a test may import stands in ``__all__``;
everything below it may change without notice.
"""

from mailward.engine.engine import Engine
from mailward.hooks.context import Clock, Context
from mailward.hooks.markers import Place, hookimpl
from mailward.hooks.plugin import OnFailure, Plugin
from mailward.hooks.resolver import MailExchanger, Resolver, TlsaRecord
from mailward.hooks.scan import Scan
from mailward.hooks.settings import ByteSize, NoSettings, Seconds, Secret, between, setting
from mailward.hooks.tally import Tally
from mailward.hooks.template import Template
from mailward.mime import Limits, Member, Message, Name, Part, PartKind
from mailward.values.action import (
    Action,
    Bounce,
    Defer,
    Delete,
    Deliver,
    Drop,
    Forward,
    Hold,
    MessageAction,
    PartAction,
    Placeholder,
    Quarantine,
    Reject,
    Repair,
    Tag,
)
from mailward.values.address import NULL, Address, AddressError
from mailward.values.check import Check, Health
from mailward.values.content import Content
from mailward.values.decision import Call, Copy, Decision, Verdict
from mailward.values.delivery import Delivery, NextHop, Result, Status
from mailward.values.edit import (
    AddHeader,
    AppendText,
    ChangeHeader,
    DeletePart,
    Edit,
    PrefixSubject,
    RemoveHeader,
    ReplaceContent,
    ReplacePart,
)
from mailward.values.envelope import Envelope, MessageInfo, Recipient, Sender, Session
from mailward.values.errors import (
    ConfigError,
    DnsFault,
    MailwardError,
    NameNotFound,
    NoRoute,
    PeerError,
    PluginFault,
    PluginLoadError,
)
from mailward.values.event import (
    Bounced,
    Custom,
    Delivered,
    Event,
    Judged,
    PluginFailed,
    Queued,
    Refused,
    Started,
    Stopped,
    WorkerDied,
)
from mailward.values.finding import Finding, Kind
from mailward.values.masks import Masks, mask_regex
from mailward.values.reply import Reply
from mailward.values.switches import Switches
from mailward.values.text import printable

__version__ = "0.1.0"

__all__ = [
    "NULL",
    "Action",
    "AddHeader",
    "Address",
    "AddressError",
    "AppendText",
    "Bounce",
    "Bounced",
    "ByteSize",
    "Call",
    "ChangeHeader",
    "Check",
    "Clock",
    "ConfigError",
    "Content",
    "Context",
    "Copy",
    "Custom",
    "Decision",
    "Defer",
    "Delete",
    "DeletePart",
    "Deliver",
    "Delivered",
    "Delivery",
    "DnsFault",
    "Drop",
    "Edit",
    "Engine",
    "Envelope",
    "Event",
    "Finding",
    "Forward",
    "Health",
    "Hold",
    "Judged",
    "Kind",
    "Limits",
    "MailExchanger",
    "MailwardError",
    "Masks",
    "Member",
    "Message",
    "MessageAction",
    "MessageInfo",
    "Name",
    "NameNotFound",
    "NextHop",
    "NoRoute",
    "NoSettings",
    "OnFailure",
    "Part",
    "PartAction",
    "PartKind",
    "PeerError",
    "Place",
    "Placeholder",
    "Plugin",
    "PluginFailed",
    "PluginFault",
    "PluginLoadError",
    "PrefixSubject",
    "Quarantine",
    "Queued",
    "Recipient",
    "Refused",
    "Reject",
    "RemoveHeader",
    "Repair",
    "ReplaceContent",
    "ReplacePart",
    "Reply",
    "Resolver",
    "Result",
    "Scan",
    "Seconds",
    "Secret",
    "Sender",
    "Session",
    "Started",
    "Status",
    "Stopped",
    "Switches",
    "Tag",
    "Tally",
    "Template",
    "TlsaRecord",
    "Verdict",
    "WorkerDied",
    "between",
    "hookimpl",
    "mask_regex",
    "printable",
    "setting",
]
