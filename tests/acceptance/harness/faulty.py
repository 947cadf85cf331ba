"""An in-house plugin that does, in the hook and in the way it is told, what a plugin must not do.

It is told through a file: the name of a plugin, of a hook, and of a fault.
"""

from __future__ import annotations

import re

HOOKS = ("connect", "helo", "mail_from", "rcpt_to", "data", "scan_part", "scan_message", "disposition")
IN_SCAN = ("scan_part", "scan_message", "disposition")
SECRET = "the-inner-life-of-a-plugin"

_SOURCE = """
import asyncio, ctypes, os, pathlib, signal, time
from mailward import Decision, Drop, Finding, Kind, Plugin, Reject, Reply, hookimpl

HERE = pathlib.Path(__file__)


class Faulty(Plugin):
    timeout_s = 0.4

    @hookimpl
    def connect(self, session):
        return self.act("connect")

    @hookimpl
    def helo(self, session, name):
        return self.act("helo")

    @hookimpl
    def mail_from(self, session, sender):
        return self.act("mail_from")

    @hookimpl
    def rcpt_to(self, session, recipient):
        return self.act("rcpt_to")

    @hookimpl
    def data(self, session, message):
        return self.act("data")

    @hookimpl
    def scan_part(self, part, scan):
        return self.act("scan_part")

    @hookimpl
    def scan_message(self, message, scan):
        return self.act("scan_message")

    @hookimpl
    def disposition(self, message, findings, scan):
        return self.act("disposition")

    def act(self, hook):
        order = HERE.with_name("order").read_text().split()
        if order[:2] != [HERE.stem, hook]:
            return None
        return getattr(self, "do_" + order[2])(hook)

    def do_raise(self, hook):
        raise ValueError("SECRET")

    def do_exit(self, hook):
        raise SystemExit("SECRET")

    def do_sleep(self, hook):
        time.sleep(1.0)

    def do_busy(self, hook):
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            pass

    def do_nonsense(self, hook):
        return "SECRET"

    def do_number(self, hook):
        return 42

    def do_mixture(self, hook):
        return [None, object()]

    def do_die(self, hook):
        os._exit(3)

    def do_segfault(self, hook):
        ctypes.string_at(0)

    def do_memory(self, hook):
        bytearray(2**40)

    def do_deaf(self, hook):
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                pass

    def do_busy_for_ever(self, hook):
        while True:
            pass

    def do_decide(self, hook):
        if hook == "disposition":
            return Decision(Drop(), reason="house rule")
        if hook.startswith("scan"):
            return self.finding("house", kind=Kind.CONTENT, name="word", action=Reject(Reply(550, "5.7.1", "No")))
        return Reply(550, "5.7.1", "No")
"""


def faulty_plugin() -> str:
    """The plugin with plain functions."""
    return _SOURCE.replace("SECRET", SECRET)


def faulty_async_plugin() -> str:
    """The same plugin with async functions."""
    text = re.sub(r"(    @hookimpl\n    )def", r"\1async def", faulty_plugin())
    text = text.replace("return self.act(", "return await self.act(").replace("    def act(", "    async def act(")
    asleep = "        if order[2] == 'sleep':\n            return await asyncio.sleep(1.0)\n"
    return text.replace("        return getattr(self, ", f"{asleep}        return getattr(self, ")
