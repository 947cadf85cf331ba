"""Limits of what one message may unfold into (SMS-CONT-04)."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge

MIB = 1024 * 1024


@frozen
class Limits:
    """What one message may unfold into; every limit counts for the message as a whole (SMS-CONT-04).

    ``max_depth``: levels of multiparts, messages and containers inside one another.
    ``max_parts``: parts of every kind, members of containers among them.
    ``max_part_bytes``: decoded size of one part. ``max_total_bytes``: what containers unfold into, plus
    the decoded size of the MIME parts. ``max_ratio``: decoded size over packed size, of a member and of
    a container as a whole, looked at above ``ratio_floor_bytes``. ``max_header_bytes``: one header
    block. ``max_headers``: header fields of all parts together. ``max_time_s``: time spent on taking
    the message apart.
    """

    max_depth: int = field(default=10, validator=ge(1))
    max_parts: int = field(default=5000, validator=ge(1))
    max_part_bytes: int = field(default=100 * MIB, validator=ge(1))
    max_total_bytes: int = field(default=200 * MIB, validator=ge(1))
    max_ratio: float = field(default=200.0, validator=ge(1))
    ratio_floor_bytes: int = field(default=MIB, validator=ge(0))
    max_header_bytes: int = field(default=MIB, validator=ge(1))
    max_headers: int = field(default=100_000, validator=ge(1))
    max_time_s: float = field(default=60.0, validator=ge(0.0))
