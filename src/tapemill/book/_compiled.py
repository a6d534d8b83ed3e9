"""How kernels of the book are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled", "compiled_for", "inlined"]

F = TypeVar("F", bound=Callable[..., Any])

# Kernels get all their arrays from outside and make none, so nothing is to be counted: with the
# counting of references each touch of a column costs an atomic step, and reading ladders takes
# twice as long.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}


def compiled(function: F) -> F:
    """Compile a kernel that makes no arrays."""
    kernel: F = njit(**_OPTIONS)(function)
    return kernel


def compiled_for(signature: Any) -> Callable[[F], F]:
    """Compile a kernel that makes no arrays, for these types at once."""
    make: Callable[[F], F] = njit(signature, **_OPTIONS)
    return make


def inlined(function: F) -> F:
    """Compile a part of such kernels that is worth no call of its own."""
    part: F = njit(forceinline=True, **_OPTIONS)(function)
    return part
