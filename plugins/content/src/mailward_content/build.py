"""From settings to rules: only what is switched on is made."""

from __future__ import annotations

from collections.abc import Iterator

from mailward_content.custom import CustomRules, RuleSettings
from mailward_content.file_names import names_of
from mailward_content.file_types import object_types
from mailward_content.filter import Filter
from mailward_content.limits import ContainerLimits
from mailward_content.part_masks import PartMasks
from mailward_content.rule import Rule
from mailward_content.settings import ContentSettings
from mailward_content.size import Size
from mailward_content.subjects import Subjects
from mailward_content.unopened import Unopened


def filter_of(chosen: ContentSettings) -> Filter:
    """The filter by name and type."""
    return Filter(
        chosen.filter_names,
        chosen.filter_names_except,
        chosen.filter_types,
        chosen.filter_types_except,
        chosen.on_filtered,
        chosen.filtered_text,
        chosen.in_archives,
    )


def size_of(chosen: ContentSettings) -> Size:
    """The message size rule."""
    return Size(chosen.max_size_mb, chosen.on_size, chosen.size_text)


def unopened_of(chosen: ContentSettings) -> Unopened:
    """The actions for what the core found."""
    return Unopened(
        chosen.on_encrypted,
        chosen.on_encrypted_mail,
        chosen.encrypted_text,
        chosen.on_unprocessable,
        chosen.on_malformed,
        chosen.unprocessable_text,
        chosen.on_limit,
        chosen.on_limits,
        chosen.limit_text,
    )


def custom_of(chosen: ContentSettings) -> CustomRules | None:
    """The custom rules that are applied, None without any. Raises ValueError for too many of them, or of terms."""
    unknown = [name for name in chosen.rules_off if name not in chosen.rules]
    if unknown:
        raise ValueError(f"rules_off names {unknown[0]!r}, which is no rule; allowed: {', '.join(chosen.rules)}")
    applied = {name: rule for name, rule in chosen.rules.items() if rule.enabled and name not in chosen.rules_off}
    if len(applied) > chosen.max_rules:
        raise ValueError(f"{len(applied)} rules are enabled; allowed: max_rules = {chosen.max_rules}")
    for name, rule in applied.items():
        _check_terms(name, rule, chosen.max_terms)
    if not applied or not chosen.scan_text:
        return None
    return CustomRules(applied, chosen.on_rule, chosen.rule_text, chosen.in_archives, chosen.max_text_bytes)


def _check_terms(name: str, rule: RuleSettings, most: int) -> None:
    _, positive, negative = rule.terms()
    count = len(positive) + len(negative)
    if count > most:
        raise ValueError(f"rules.{name} has {count} terms; allowed: max_terms = {most}")


def rules_of(chosen: ContentSettings) -> Iterator[Rule]:
    """The rules that are switched on, in the order in which they look. Raises ValueError for contradictions."""
    for switch, key in (("block_subjects", "subjects"), ("block_names", "names"), ("block_types", "types")):
        if getattr(chosen, switch) and not getattr(chosen, key):
            raise ValueError(f"{key} is empty while {switch} is on; allowed: at least one mask, or {switch} = false")
    if chosen.block_size:
        yield size_of(chosen)
    if chosen.block_subjects:
        yield Subjects(chosen.subjects, chosen.subject_prefixes, chosen.on_subject, chosen.subject_text)
    rules = custom_of(chosen)
    if rules is not None:
        yield rules
    limits = ContainerLimits(chosen.limits, chosen.on_limit, chosen.on_limits, chosen.limit_text)
    if limits.is_set:
        yield limits
    filtered = filter_of(chosen)
    if filtered.is_set:
        yield filtered
    reach = chosen.in_archives
    if chosen.block_names:
        yield PartMasks(
            "file_name", names_of, chosen.names, chosen.names_except, chosen.on_name, chosen.name_text, reach
        )
    if chosen.block_types:
        yield PartMasks(
            "file_type", object_types, chosen.types, chosen.types_except, chosen.on_type, chosen.type_text, reach
        )
