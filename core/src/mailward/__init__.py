"""Mailward: a mail security gateway whose every feature is a plugin.

This is the door. What a plugin, an embedding program or a test may import stands in ``__all__``;
everything below it may change without notice.

What is behind a name is imported when the name is first asked for: a process that needs little of
Mailward, such as the supervisor or a small command, does not load the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailward.engine.engine import Engine
    from mailward.hooks.context import Clock, Context
    from mailward.hooks.conversation import Capture, ContentDetail, ConversationLog, Fault, FaultFilter, Recorder
    from mailward.hooks.desk import Desk
    from mailward.hooks.markers import Place, hookimpl
    from mailward.hooks.plugin import OnFailure, Plugin
    from mailward.hooks.resolver import MailExchanger, Resolver, TlsaRecord
    from mailward.hooks.scan import Scan
    from mailward.hooks.settings import ByteSize, NoSettings, Seconds, Secret, between, setting
    from mailward.hooks.tally import Tally
    from mailward.hooks.template import Template
    from mailward.mime import Limits, Member, Message, Name, Part, PartKind, unpack_binhex, unpack_zip
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
        edits_of,
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
        LoadExceeded,
        LoginFailed,
        PluginFailed,
        ProtocolViolation,
        Queued,
        Refused,
        ScanServerBack,
        ScanServerLost,
        Started,
        Stopped,
        Suspect,
        WorkerDied,
    )
    from mailward.values.finding import Finding, Kind
    from mailward.values.masks import Masks, mask_regex
    from mailward.values.networks import Networks
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
    "Capture",
    "ChangeHeader",
    "Check",
    "Clock",
    "ConfigError",
    "Content",
    "ContentDetail",
    "Context",
    "ConversationLog",
    "Copy",
    "Custom",
    "Decision",
    "Defer",
    "Delete",
    "DeletePart",
    "Deliver",
    "Delivered",
    "Delivery",
    "Desk",
    "DnsFault",
    "Drop",
    "Edit",
    "Engine",
    "Envelope",
    "Event",
    "Fault",
    "FaultFilter",
    "Finding",
    "Forward",
    "Health",
    "Hold",
    "Judged",
    "Kind",
    "Limits",
    "LoadExceeded",
    "LoginFailed",
    "MailExchanger",
    "MailwardError",
    "Masks",
    "Member",
    "Message",
    "MessageAction",
    "MessageInfo",
    "Name",
    "NameNotFound",
    "Networks",
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
    "ProtocolViolation",
    "Quarantine",
    "Queued",
    "Recipient",
    "Recorder",
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
    "ScanServerBack",
    "ScanServerLost",
    "Seconds",
    "Secret",
    "Sender",
    "Session",
    "Started",
    "Status",
    "Stopped",
    "Suspect",
    "Switches",
    "Tag",
    "Tally",
    "Template",
    "TlsaRecord",
    "Verdict",
    "WorkerDied",
    "between",
    "edits_of",
    "hookimpl",
    "mask_regex",
    "printable",
    "setting",
    "unpack_binhex",
    "unpack_zip",
]


_HOMES = {
    "Engine": "mailward.engine.engine",
    "Clock": "mailward.hooks.context",
    "Context": "mailward.hooks.context",
    "Capture": "mailward.hooks.conversation",
    "ContentDetail": "mailward.hooks.conversation",
    "ConversationLog": "mailward.hooks.conversation",
    "Fault": "mailward.hooks.conversation",
    "FaultFilter": "mailward.hooks.conversation",
    "Recorder": "mailward.hooks.conversation",
    "Place": "mailward.hooks.markers",
    "hookimpl": "mailward.hooks.markers",
    "OnFailure": "mailward.hooks.plugin",
    "Plugin": "mailward.hooks.plugin",
    "MailExchanger": "mailward.hooks.resolver",
    "Desk": "mailward.hooks.desk",
    "Resolver": "mailward.hooks.resolver",
    "TlsaRecord": "mailward.hooks.resolver",
    "Scan": "mailward.hooks.scan",
    "ByteSize": "mailward.hooks.settings",
    "NoSettings": "mailward.hooks.settings",
    "Seconds": "mailward.hooks.settings",
    "Secret": "mailward.hooks.settings",
    "between": "mailward.hooks.settings",
    "setting": "mailward.hooks.settings",
    "Tally": "mailward.hooks.tally",
    "Template": "mailward.hooks.template",
    "Limits": "mailward.mime",
    "Member": "mailward.mime",
    "Message": "mailward.mime",
    "Name": "mailward.mime",
    "Part": "mailward.mime",
    "PartKind": "mailward.mime",
    "unpack_binhex": "mailward.mime",
    "unpack_zip": "mailward.mime",
    "Action": "mailward.values.action",
    "Bounce": "mailward.values.action",
    "Defer": "mailward.values.action",
    "Delete": "mailward.values.action",
    "Deliver": "mailward.values.action",
    "Drop": "mailward.values.action",
    "Forward": "mailward.values.action",
    "Hold": "mailward.values.action",
    "MessageAction": "mailward.values.action",
    "PartAction": "mailward.values.action",
    "Placeholder": "mailward.values.action",
    "Quarantine": "mailward.values.action",
    "Reject": "mailward.values.action",
    "Repair": "mailward.values.action",
    "Tag": "mailward.values.action",
    "NULL": "mailward.values.address",
    "Address": "mailward.values.address",
    "AddressError": "mailward.values.address",
    "Check": "mailward.values.check",
    "Health": "mailward.values.check",
    "Content": "mailward.values.content",
    "Call": "mailward.values.decision",
    "Copy": "mailward.values.decision",
    "Decision": "mailward.values.decision",
    "Verdict": "mailward.values.decision",
    "Delivery": "mailward.values.delivery",
    "NextHop": "mailward.values.delivery",
    "Result": "mailward.values.delivery",
    "Status": "mailward.values.delivery",
    "AddHeader": "mailward.values.edit",
    "AppendText": "mailward.values.edit",
    "ChangeHeader": "mailward.values.edit",
    "DeletePart": "mailward.values.edit",
    "Edit": "mailward.values.edit",
    "PrefixSubject": "mailward.values.edit",
    "RemoveHeader": "mailward.values.edit",
    "ReplaceContent": "mailward.values.edit",
    "ReplacePart": "mailward.values.edit",
    "edits_of": "mailward.values.edit",
    "Envelope": "mailward.values.envelope",
    "MessageInfo": "mailward.values.envelope",
    "Recipient": "mailward.values.envelope",
    "Sender": "mailward.values.envelope",
    "Session": "mailward.values.envelope",
    "ConfigError": "mailward.values.errors",
    "DnsFault": "mailward.values.errors",
    "MailwardError": "mailward.values.errors",
    "NameNotFound": "mailward.values.errors",
    "NoRoute": "mailward.values.errors",
    "PeerError": "mailward.values.errors",
    "PluginFault": "mailward.values.errors",
    "PluginLoadError": "mailward.values.errors",
    "Bounced": "mailward.values.event",
    "Custom": "mailward.values.event",
    "Delivered": "mailward.values.event",
    "Event": "mailward.values.event",
    "Judged": "mailward.values.event",
    "LoadExceeded": "mailward.values.event",
    "LoginFailed": "mailward.values.event",
    "ProtocolViolation": "mailward.values.event",
    "PluginFailed": "mailward.values.event",
    "Queued": "mailward.values.event",
    "Refused": "mailward.values.event",
    "ScanServerBack": "mailward.values.event",
    "ScanServerLost": "mailward.values.event",
    "Started": "mailward.values.event",
    "Stopped": "mailward.values.event",
    "Suspect": "mailward.values.event",
    "WorkerDied": "mailward.values.event",
    "Finding": "mailward.values.finding",
    "Kind": "mailward.values.finding",
    "Masks": "mailward.values.masks",
    "mask_regex": "mailward.values.masks",
    "Networks": "mailward.values.networks",
    "Reply": "mailward.values.reply",
    "Switches": "mailward.values.switches",
    "printable": "mailward.values.text",
}
"""Where each name of the door lives: the imports above, for the running program."""

if not TYPE_CHECKING:  # a type checker sees the imports, and so also that a name is misspelt

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
