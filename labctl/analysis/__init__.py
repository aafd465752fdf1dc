"""Analysis of finished data: `analyze_paths`, `analyze_campaign`; numerics load when one is called for.

The verdict on one dataset is ``labctl.analysis.judge.judge``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labctl.analysis.campaign import analyze_campaign, analyze_paths
    from labctl.analysis.context import AnalysisContext, Thresholds

__all__ = ["AnalysisContext", "Thresholds", "analyze_campaign", "analyze_paths"]

_WHERE = {
    "AnalysisContext": "context",
    "Thresholds": "context",
    "analyze_campaign": "campaign",
    "analyze_paths": "campaign",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
