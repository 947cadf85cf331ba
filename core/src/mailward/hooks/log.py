"""The log as every module takes it: structlog, without what it would load only to draw tracebacks."""

from __future__ import annotations

import sys

__all__ = ["get_logger", "structlog"]

if "rich" in sys.modules:
    import structlog
else:
    # structlog loads rich wherever it is installed, for tracebacks in colour. Ours are plain text (engine/log.py),
    # and rich is 50 modules and several megabytes in every process. With None here it counts as not installed.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]

get_logger = structlog.get_logger
"""A logger, with a name and with fields bound to it; made on its first line."""
