"""The settings of the content plugin."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from mailward import (
    Action,
    ByteSize,
    Delete,
    Deliver,
    Drop,
    Masks,
    Reject,
    Template,
    between,
    setting,
)
from mailward_content.actions import check_action, is_action, is_filter_action
from mailward_content.attachment import Reach
from mailward_content.custom import MAX_TEXT_BYTES, RULE_TEXT, RuleSettings
from mailward_content.direction import network
from mailward_content.file_names import DEFAULT_NAMES, NAME_TEXT, check_masks
from mailward_content.file_types import DEFAULT_TYPES, TYPE_TEXT
from mailward_content.filter import FILTER_TEXT
from mailward_content.limits import CORE_LIMITS, LIMIT_TEXT, MEASURES, Maxima
from mailward_content.marks import Marks
from mailward_content.size import SIZE_TEXT, TOO_LARGE
from mailward_content.subjects import PREFIXES, SUBJECT_TEXT
from mailward_content.unopened import ENCRYPTED_TEXT, UNPROCESSABLE_TEXT


def _limit_actions(instance: object, attribute: Any, actions: dict[str, Action]) -> None:
    known = sorted({*CORE_LIMITS, *MEASURES})
    for name, action in actions.items():
        if name not in known:
            raise ValueError(f"{name!r} is no limit; allowed: {', '.join(known)}")
        check_action(action)


def _file_masks(instance: object, attribute: Any, masks: Masks) -> None:
    check_masks(masks)


def _networks(instance: object, attribute: Any, texts: tuple[str, ...]) -> None:
    for text in texts:
        network(text)


@frozen
class ContentSettings:
    """``[content]``: what a message may hold."""

    block_size: bool = setting(False, help="whether messages are judged by their size")
    max_size_mb: int = setting(50, validator=between(1, 2048), help="largest message, in whole MB")
    on_size: Action = setting(
        Reject(TOO_LARGE), validator=is_action, help="what happens to a larger one; reject refuses it while it comes"
    )
    size_text: Template = setting(
        Template(SIZE_TEXT), help="text of a placeholder in place of a message that is too large"
    )

    block_subjects: bool = setting(False, help="whether messages are judged by their subjects")
    subjects: tuple[str, ...] = setting((), help="masks of whole subjects that are not let through")
    subject_prefixes: tuple[str, ...] = setting(
        PREFIXES, help="words of answers and forwards that may stand before a subject"
    )
    on_subject: Action = setting(Drop(), validator=is_action, help="what happens to a message with such a subject")
    subject_text: Template = setting(
        Template(SUBJECT_TEXT), help="text of a placeholder in place of a message with such a subject"
    )

    block_names: bool = setting(False, help="whether attachments are judged by their file names")
    names: Masks = setting(Masks(DEFAULT_NAMES), validator=_file_masks, help="file names that are not let through")
    names_except: Masks = setting(Masks(), help="file names that are let through all the same")
    on_name: Action = setting(Delete(), validator=is_action, help="what happens to an attachment with such a name")
    name_text: Template = setting(Template(NAME_TEXT), help="text of a placeholder that has none of its own")

    block_types: bool = setting(False, help="whether attachments are judged by their types, declared and detected")
    types: Masks = setting(Masks(DEFAULT_TYPES), help="media types that are not let through")
    types_except: Masks = setting(Masks(), help="media types that are let through all the same")
    on_type: Action = setting(Delete(), validator=is_action, help="what happens to an attachment of such a type")
    type_text: Template = setting(Template(TYPE_TEXT), help="text of a placeholder that has none of its own")

    in_archives: Reach = setting(
        Reach.ATTACHMENT,
        help="what is acted on where a member of an archive is hit: the attachment as a whole, or the member",
    )

    filter_names: Masks = setting(Masks(), also=("include_by_name",), help="names that are filtered; not set: all")
    filter_names_except: Masks = setting(
        Masks(), also=("exclude_by_name",), help="names that are not filtered: with this alone every other name is"
    )
    filter_types: Masks = setting(
        Masks(), also=("include_by_mime", "include_by_type"), help="media types that are filtered; not set: all"
    )
    filter_types_except: Masks = setting(
        Masks(), also=("exclude_by_mime", "exclude_by_type"), help="media types that are not filtered"
    )
    on_filtered: Action = setting(
        Deliver(),
        validator=is_filter_action,
        help="what happens to what is filtered; deliver lets it through without a scan for viruses",
    )
    filtered_text: Template = setting(Template(FILTER_TEXT), help="text of a placeholder that has none of its own")

    limits: Maxima = setting(factory=Maxima, help="container limits, tighter than those of the section [limits]")
    on_limit: Action | None = setting(
        None, validator=is_action, help="what happens over a container limit; not set: limit in [disposition]"
    )
    on_limits: dict[str, Action] = setting(
        factory=dict, validator=_limit_actions, help="other actions for single limits, by name: also those of [limits]"
    )
    limit_text: Template = setting(Template(LIMIT_TEXT), help="text of a placeholder in place of what is over a limit")

    on_encrypted: Action | None = setting(
        Delete(),
        validator=is_action,
        help="what happens to an attachment with encrypted content; not set: unchecked in [disposition]",
    )
    on_encrypted_mail: Action | None = setting(
        None, validator=is_action, help="what happens to S/MIME and OpenPGP mail; not set: unchecked in [disposition]"
    )
    encrypted_text: Template = setting(
        Template(ENCRYPTED_TEXT), help="text of a placeholder in place of what is encrypted"
    )
    on_unprocessable: Action | None = setting(
        None, validator=is_action, help="what happens to what cannot be opened; not set: unchecked in [disposition]"
    )
    on_malformed: Action | None = setting(
        None, validator=is_action, help="what happens to malformed MIME that was opened all the same; not set: nothing"
    )
    unprocessable_text: Template = setting(
        Template(UNPROCESSABLE_TEXT), help="text of a placeholder in place of what cannot be processed"
    )

    scan_text: bool = setting(True, help="whether custom rules look into messages at all")
    rules: dict[str, RuleSettings] = setting(
        factory=dict, help="custom rules by name, each a table [content.rules.NAME]"
    )
    rules_off: tuple[str, ...] = setting((), help="names of rules that are not applied, for policies")
    on_rule: Action = setting(Drop(), validator=is_action, help="what happens where a rule without action is violated")
    rule_text: Template = setting(Template(RULE_TEXT), help="text of a placeholder that has none of its own")
    max_text_bytes: ByteSize = setting(
        ByteSize(MAX_TEXT_BYTES),
        validator=between(64 * 1024, 2**30),
        help="how much text of one message custom rules look at; what is beyond counts as unchecked",
    )
    max_rules: int = setting(100, validator=between(1, 100_000), help="most rules that may be enabled")
    max_terms: int = setting(50, validator=between(1, 10_000), help="most terms that one rule may have")

    inside: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1"),
        validator=_networks,
        help="addresses and networks whose mail comes from the house; that of authenticated clients does too",
    )
    inbound: Marks = setting(factory=Marks, help="what is put on mail that comes in")
    outbound: Marks = setting(factory=Marks, help="what is put on mail that leaves the house")
    internal: Marks = setting(factory=Marks, help="what is put on mail that stays in the house")
