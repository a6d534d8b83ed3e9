"""A recipe: what a target is made from, how, and what makes a unit of it stale."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tapemill.errors import LakeError

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.settings import Settings

__all__ = ["Kitchen", "Plan", "Product", "Recipe", "code_version", "digest_of"]


@dataclasses.dataclass(frozen=True)
class Kitchen:
    """What every recipe works with."""

    lake: Lake
    settings: Settings


@dataclasses.dataclass(frozen=True)
class Product:
    """What a recipe makes of some units.

    Attributes
    ----------
    rows : pl.DataFrame
        Rows of the target's contract.
    quarantined : pl.DataFrame, optional
        Input rows that may not enter the target, with ``reasons`` and provenance.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Units of a target and what each would be made of.

    Attributes
    ----------
    fingerprints : mapping of str to str
        Unit (a session as ISO date, a symbol) → digest of everything its content depends on.
    make : callable
        Units → product. Called with the stale units of one partition at a time.
    """

    fingerprints: Mapping[str, str]
    make: Callable[[Sequence[str]], Product]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one dataset is derived.

    Parameters
    ----------
    target : str
        The dataset made.
    inputs : tuple of str
        Datasets it is made from; those made by recipes are built first.
    unit : str
        ``"session"`` (the dataset's date: a session, a week, a settlement date) or ``"symbol"``:
        what is rebuilt at the least.
    modules : tuple of str
        Modules whose code decides the content: of this package, or with their whole name.
    plan : callable
        Kitchen and code version → plan.
    append : bool
        Rows are added and none is ever replaced; `make` leaves out what is there already.
    """

    target: str
    inputs: tuple[str, ...]
    unit: str
    modules: tuple[str, ...]
    plan: Callable[[Kitchen, str], Plan]
    append: bool = False

    @property
    def version(self) -> str:
        """Digest of the code behind the recipe."""
        return code_version(self.modules)


@functools.cache
def code_version(modules: tuple[str, ...]) -> str:
    """Digest of modules as programs: comments and layout do not count.

    Raises
    ------
    LakeError
        The source of a module is not installed.
    """
    trees = []
    for module in modules:
        name = module if "." in module else f"tapemill.refine.{module}"
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise LakeError(
                f"the source of {name} is not there",
                next_step="install Tapemill with its sources; builds are stamped with them",
            )
        trees.append(ast.dump(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))))
    return digest_of(*trees)


def digest_of(*parts: object) -> str:
    """SHA-256 over parts, each with its length, so that no two lists of parts meet."""
    hashed = hashlib.sha256()
    for part in parts:
        text = part.isoformat() if isinstance(part, date) else str(part)
        hashed.update(f"{len(text)}:{text}".encode())
    return hashed.hexdigest()
