"""The settings of what is kept for finding faults."""

from __future__ import annotations

from attrs import frozen

from mailward.hooks.conversation import Capture, ContentDetail, FaultFilter
from mailward.hooks.settings import MIB, ByteSize, between, setting


@frozen
class DiagnosticsSettings:
    """``[diagnostics]``: SMTP conversations and raw messages, kept in ``diagnostics`` below the state folder."""

    inbound: Capture = setting(Capture.OFF, help="conversations with clients: off, errors, all (SAV-DIA-02)")
    inbound_errors: FaultFilter = setting(FaultFilter.ALL, help="which faults count as errors there")
    inbound_data: ContentDetail = setting(
        ContentDetail.SUMMARISE, help="their content: ignore, summarise (sizes), echo"
    )
    outbound: Capture = setting(Capture.OFF, help="delivery attempts: off, errors, all")
    outbound_errors: FaultFilter = setting(FaultFilter.ALL, help="which faults count as errors there")
    outbound_data: ContentDetail = setting(
        ContentDetail.SUMMARISE, help="their content: ignore, summarise (sizes), echo"
    )
    max_files: int = setting(
        1000, validator=between(1, 100_000), help="conversations kept in each direction; the oldest go first"
    )
    max_file_bytes: ByteSize = setting(
        ByteSize(MIB), validator=between(4096, 1024 * MIB), help="length at which one conversation is cut"
    )
    messages: Capture = setting(
        Capture.OFF, help="raw copies of messages as they came: off, errors (answered with 4xx), all (SAV-DIA-01)"
    )
    max_messages: int = setting(100, validator=between(1, 100_000), help="raw copies kept; the oldest go first")
    max_messages_bytes: ByteSize = setting(
        ByteSize(512 * MIB), validator=between(MIB, 2**40), help="size of all raw copies together"
    )
