"""Fuzz one target, guided by coverage (atheris).

    python tests/fuzz/run.py --seconds 600 tree
    python tests/fuzz/run.py --list

Ends with 0 when the time is over and nothing was found. A finding is written to the folder --keep
(the present one) as crash-*, and the traceback printed; `run.py TARGET FILE` tries a file again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mailward", "mailward_archives"], enable_loader_override=False):
    import readers

    import targets

import seeds


def main() -> None:
    """Read the options and hand over to libFuzzer, which does not come back."""
    every = targets.CORE | readers.readers()
    parser = argparse.ArgumentParser(description="Fuzz one target, guided by coverage.")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--largest", type=int, default=16384, help="bytes of the largest input (default 16384)")
    parser.add_argument("--slowest", type=int, default=60, help="seconds that one input may take (default 60)")
    parser.add_argument("--keep", type=Path, default=Path(), help="folder for what is found")
    parser.add_argument("--seed", type=int, default=0, help="start of the random numbers (default 0: by the clock)")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("target", nargs="?", choices=sorted(every), metavar="TARGET")
    parser.add_argument("file", nargs="*", type=Path, help="try these files instead")
    options = parser.parse_args()
    if options.list or not options.target:
        print("\n".join(every))
        return
    if options.file:
        for file in options.file:
            every[options.target](file.read_bytes())
        return
    options.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mailward-fuzz-") as folder:
        fuzz(options, every[options.target], Path(folder))


def fuzz(options: argparse.Namespace, target: targets.Target, folder: Path) -> None:
    """Lay out the seeds and run; libFuzzer leaves by ending the process, so a child does it."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for name, seed in seeds.seeds(options.target).items():
        (corpus / name).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join('"{}"\n'.format(word.replace('"', '\\"')) for word in seeds.WORDS))
    child = os.fork()
    if not child:
        flags = {
            "max_total_time": options.seconds,
            "max_len": options.largest,
            "timeout": options.slowest,
            "rss_limit_mb": 4096,
            "dict": words,
            "artifact_prefix": f"{options.keep}/",
            "seed": options.seed,
            "verbosity": int(sys.stdout.isatty()),
            "print_final_stats": 1,
        }
        atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(corpus)], target)
        atheris.Fuzz()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
