"""All recipes of the house, from bronze to gold, for the verbs that build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapemill.cli.options import Workplace
    from tapemill.refine import BuildReport

__all__ = ["build_all"]


def build_all(
    place: Workplace,
    targets: Sequence[str] | None,
    progress: Callable[[int, int, str], None] | None,
) -> BuildReport:
    """Bring targets of any room up to date; see :func:`tapemill.refine.build`."""
    from tapemill.flow import GOLD_RECIPES
    from tapemill.levels.recipes import LEVEL_RECIPES
    from tapemill.refine import RECIPES, build

    return build(
        place.lake,
        place.settings,
        place.clock,
        targets,
        progress=progress,
        recipes={**RECIPES, **GOLD_RECIPES, **LEVEL_RECIPES},
    )
