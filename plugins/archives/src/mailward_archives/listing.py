"""What the 7-Zip program says of a container: its members, and what it complains about."""

from __future__ import annotations

from attrs import frozen


@frozen
class Entry:
    """One listed member; ``size`` -1 where the format does not say it."""

    path: str
    size: int = -1
    encrypted: bool = False
    folder: bool = False


@frozen
class Listing:
    """What the program says of a container: its members, and what it complains about."""

    entries: tuple[Entry, ...] = ()
    complaint: str = ""
    volumes: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether the list itself is encrypted."""
        return any(word in self.complaint.lower() for word in ("encrypted", "password"))


def parse_listing(text: str) -> Listing:
    """What ``7zz l -slt`` printed: after a line of dashes, one block of ``Key = value`` lines a member."""
    head, _, body = text.partition("\n----------\n")
    complaint = ""
    for line in head.splitlines():
        if line.startswith(("ERROR", "Open ERROR", "Cannot open", "Unexpected end", "Headers Error")):
            complaint = complaint or line.partition(" : ")[2] or line
    volumes = any(line in ("Multivolume = +", "Volume = +") for line in head.splitlines())
    entries = []
    for block in body.split("\n\n"):
        values = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if not values.get("Path"):
            continue
        entries.append(_entry(values))
    return Listing(tuple(entries), complaint[:200], volumes)


def _entry(values: dict[str, str]) -> Entry:
    size = values.get("Size", "")
    attributes = values.get("Attributes", "")
    folder = values.get("Folder") == "+" or attributes.startswith("D") or attributes.startswith("d")
    return Entry(values["Path"], int(size) if size.isdecimal() else -1, values.get("Encrypted") == "+", folder)
