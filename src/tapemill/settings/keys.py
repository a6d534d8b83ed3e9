"""The declared keys as a list: what the loader, the messages and the reference page walk over."""

from __future__ import annotations

import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, Union

import msgspec

from tapemill.errors import ConfigError, did_you_mean
from tapemill.secrets import Secret
from tapemill.settings.declaration import Settings

__all__ = ["Key", "declared_keys", "known_key"]


@dataclass(frozen=True)
class Key:
    """One declared key, ``section.field``."""

    name: str
    annotation: Any
    default: Any
    unit: str
    description: str
    environment: tuple[str, ...]
    accepts: str
    secret: bool

    @property
    def section(self) -> str:
        """The part before the dot."""
        return self.name.split(".", 1)[0]

    @property
    def field(self) -> str:
        """The part after the dot."""
        return self.name.split(".", 1)[1]


def _bounds(meta: msgspec.Meta) -> str:
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    found = [(sign, getattr(meta, name)) for name, sign in signs]
    return ", ".join(f"{sign} {limit}" for sign, limit in found if limit is not None)


def _accepts(kind: Any, meta: msgspec.Meta) -> str:
    """What a key accepts, in words."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in {Union, types.UnionType}:
        return "text, environment only"
    words = {
        str: "text",
        bool: "true or false",
        int: "whole number",
        float: "number",
        tuple: "list of numbers",
        dict: "table of texts",
    }
    return f"{words[origin or kind]} {_bounds(meta)}".strip()


def _key(section: str, field: msgspec.structs.FieldInfo, annotation: Any) -> Key:
    kind, meta = typing.get_args(annotation)
    extra: dict[str, Any] = meta.extra
    default = field.default
    if default is msgspec.NODEFAULT:
        default = field.default_factory()
    name = f"{section}.{field.name}"
    regular = f"TAPEMILL_{section}_{field.name}".upper()
    return Key(
        name=name,
        annotation=annotation,
        default=default,
        unit=extra["unit"],
        description=meta.description,
        environment=extra["env"] or (regular,),
        accepts=_accepts(kind, meta),
        secret=Secret in typing.get_args(kind),
    )


@functools.cache
def declared_keys() -> dict[str, Key]:
    """All keys by name, in the order of their declaration."""
    keys: list[Key] = []
    for section in msgspec.structs.fields(Settings):
        if section.name == "origins":
            continue
        struct = section.type
        hints = typing.get_type_hints(struct, include_extras=True)
        keys += [
            _key(section.name, field, hints[field.name]) for field in msgspec.structs.fields(struct)
        ]
    return {key.name: key for key in keys}


def known_key(name: str, where: str) -> Key:
    """The key of that name.

    Raises
    ------
    ConfigError
        When there is none, with the nearest one.
    """
    keys = declared_keys()
    if name in keys:
        return keys[name]
    section = name.split(".", 1)[0]
    hint = did_you_mean(name, keys)
    if not hint and any(key.section == section for key in keys.values()):
        fields = [key.field for key in keys.values() if key.section == section]
        hint = f"[{section}] knows {', '.join(fields)}"
    raise ConfigError(
        f"there is no configuration key {name!r}",
        where=where,
        next_step=hint or "see `tapemill config keys`",
    )
