"""A thousand custom rules of ten terms: what they cost a message, beside a naive loop over the terms.

Usage: python bench/rules.py [RULES TERMS KILOBYTES]

Rules and message are made of the same vocabulary, so that terms are really found. `rules` is the content plugin
from the decoded message to its findings; `naive` asks each term of each rule whether it is in the text, as a
loop over the rules would. CPU time of one message, the best of several rounds in the same run.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from mailward import Deliver, Envelope, Message, Scan, Template
from mailward_content.custom import CustomRules, RuleSettings

LETTERS = "etaoinshrdlcumwfgypbvkjxqz"
"""Letters as frequent as in English: each less than the one before it."""
WEIGHTS = [12.7, 9.1, 8.2, 7.5, 7.0, 6.7, 6.3, 6.1, 6.0, 4.3, 4.0, 2.8, 2.8, 2.4, 2.4, 2.2, 2.0, 2.0, 1.9, 1.5, 1.0]
WEIGHTS += [0.8, 0.2, 0.2, 0.1, 0.1]
ROUNDS = 15


def vocabulary(chance: random.Random, count: int) -> list[str]:
    """Words of four to nine letters, each once."""
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(chance.choices(LETTERS, WEIGHTS, k=chance.randint(4, 9)))] = None
    return list(made)


def rules_of(chance: random.Random, words: list[str], count: int, terms: int) -> dict[str, RuleSettings]:
    """Rules with a veto each. Every tenth has a term with wildcards, half are ALL, about one in forty is violated."""
    rare = [word for word in words[len(words) // 10 :] if len(word) > 6]
    made: dict[str, RuleSettings] = {}
    for number in range(count):
        chosen = chance.sample(words if number % 2 else rare, terms)
        if number % 10 == 1:
            chosen[0] = f"{chosen[0][0]}?{chosen[0][2:]}*{chosen[1]}"
        if number % 40 == 0:
            chosen[0] = chance.choice(words[:100])
        positive, vetoes = tuple(chosen[:-1]), tuple(chosen[-1:])
        mode = {"all" if number % 2 else "any": positive}
        made[f"rule{number}"] = RuleSettings(none=vetoes, **mode)
    return made


def message_of(chance: random.Random, words: list[str], size: int) -> bytes:
    """A plain text of ``size`` bytes whose words come from the first tenth of the vocabulary."""
    common = words[: len(words) // 10]
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(" ".join(chance.choices(common, k=12)) + "\r\n")
    return b"Subject: report\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "".join(lines).encode()[:size]


def cost_ms(work: Callable[[], object]) -> float:
    """Milliseconds of CPU that ``work`` takes, the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1000


def occurs(term: str, text: str) -> bool:
    """Whether a term occurs in a text, the simple way."""
    if "*" not in term:
        return term in text
    return re.search(term.replace("?", ".").replace("*", ".*"), text, re.DOTALL) is not None


def naive(rules: dict[str, RuleSettings], message: Message) -> list[str]:
    """The rules that are violated, term by term."""
    text = message.root.text.lower()
    found: list[str] = []
    for name, rule in rules.items():
        positive = all(occurs(t, text) for t in rule.all) if rule.all else any(occurs(t, text) for t in rule.any)
        if positive and not any(occurs(t, text) for t in rule.none):
            found.append(name)
    return found


def main() -> None:
    """Measure and print."""
    count, terms, kilobytes = map(int, sys.argv[1:] or (1000, 10, 50))
    chance = random.Random(1)
    words = vocabulary(chance, 20_000)
    rules = rules_of(chance, words, count, terms)
    started = time.process_time()
    compiled = CustomRules(rules, Deliver(), Template(""))
    compile_ms = (time.process_time() - started) * 1000
    raw = message_of(chance, words, kilobytes * 1024)

    def judged() -> int:
        with Message.from_bytes(raw) as message:
            return len(list(compiled.look(message, Scan(Envelope(), message))))

    with Message.from_bytes(raw) as message:
        scan = Scan(Envelope(), message)
        warm = cost_ms(lambda: list(compiled.look(message, scan)))
        loop = cost_ms(lambda: naive(rules, message))
        assert [hit.name for hit in compiled.look(message, scan)] == naive(rules, message)
    table = Table("what", "ms", title=f"{count} rules of {terms} terms, {kilobytes} KB, {judged()} violated")
    table.add_row("rules", f"{warm:.2f}")
    table.add_row("rules, message taken apart and decoded too", f"{cost_ms(judged):.2f}")
    table.add_row("naive loop", f"{loop:.2f}")
    table.add_row("compiling, once", f"{compile_ms:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
