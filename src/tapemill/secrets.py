"""Secrets: a type that does not show what it holds, and a mask for text that might.

Every :class:`Secret` registers its value, so :func:`redact` can blank it wherever it turns up:
plain, percent-encoded, escaped, hexadecimal, or inside base64. Patterns catch what was never
registered: keys in URLs and headers, passwords in addresses, well-known token shapes.
"""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from typing import NoReturn, Self
from urllib.parse import quote, quote_plus

from tapemill.errors import ConfigError, UsageError

__all__ = ["MASK", "Secret", "redact", "register"]

MASK = "****"

_SHORT = 6
_BASE64_MIN = 8


class Secret:
    """A value that prints, formats, copies and serialises without showing itself.

    Parameters
    ----------
    value : str
        The secret; must not be empty.
    name : str
        What it is for, such as ``"massive.api_key"``; shown in its place.

    Raises
    ------
    ConfigError
        When the value is empty, in quotes, or holds white space or control characters.
    """

    __slots__ = ("_value", "name")

    def __init__(self, value: str, name: str) -> None:
        unusable = any(character.isspace() or ord(character) < 32 for character in value)
        quoted = value[:1] in {"'", '"'} and value[-1:] == value[:1]
        if not value or unusable or quoted:
            raise ConfigError(
                f"the secret {name} is empty, in quotes or holds white space",
                next_step="set it again without quotes, spaces or line ends",
            )
        self._value = value
        self.name = name
        register(self)

    def reveal(self) -> str:
        """The value itself; call it only where the request header is written."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name}: {MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            f"the secret {self.name} must not be pickled",
            next_step="let the other process read it from its own environment",
        )


def _base64_cores(value: bytes) -> set[str]:
    """What base64 of any text around `value` must contain: one core per alignment."""
    cores = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value).decode()
        begin, end = -(-shift * 8 // 6), (shift + len(value)) * 8 // 6
        core = encoded[begin:end]
        if len(core) >= _BASE64_MIN:
            cores |= {core, core.translate(str.maketrans("+/", "-_"))}
    return cores


def _spellings(value: str) -> set[str]:
    """The ways in which a value shows up in text."""
    raw = value.encode()
    percent = quote(value, safe="")
    return {
        value,
        percent,
        quote(percent, safe=""),
        quote(value),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        repr(raw)[2:-1],
        html.escape(value),
        raw.hex(),
        raw.hex().upper(),
        *_base64_cores(raw),
    }


def _exactly(spelling: str) -> str:
    # Percent codes are written in either case.
    escaped = re.sub(r"%([0-9A-F]{2})", r"%(?i:\1)", re.escape(spelling))
    # A short secret is masked as a word only: masking each "abc" would blank half the log.
    return escaped if len(spelling) >= _SHORT else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"


class _Registry:
    """Spellings of all secrets loaded in this process, compiled into one expression."""

    def __init__(self) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        fresh = _spellings(value) - self._spellings
        if fresh:
            self._spellings |= fresh
            ordered = sorted(self._spellings, key=lambda text: (-len(text), text))
            self._pattern = re.compile("|".join(map(_exactly, ordered)))

    def mask(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


_REGISTRY = _Registry()

_NAMES = (
    r"api[_-]?key|apikey|(?:access|refresh|id|session|security|auth)[_-]?token|client[_-]?secret"
    r"|secret[_-]?access[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|password|passwd|pwd"
    r"|x-amz-signature|x-amz-credential|private[_-]?key"
)
# A placeholder in a hint (<your key>, $KEY, …) and what is masked already stay as they are.
_START = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
_NO_PLACEHOLDER = r"(?![<$*…]|\.\.\.|None\b|null\b)"
_VALUE = _NO_PLACEHOLDER + r"""[^\s&"'\\,;<>(){}\[\]]+"""
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # name=value, also percent-encoded, in URLs, shells and key=value logs
        (
            rf"{_START}((?:{_NAMES}|token|secret|signature)(?:\s?=\s?|%3d)[\"']?){_VALUE}",
            rf"\1{MASK}",
        ),
        # --name value of command lines
        (rf"(--(?:{_NAMES}|token|secret)\s+[\"']?){_VALUE}", rf"\1{MASK}"),
        # "name": "value" in JSON and in the repr of a dict, also escaped inside another string
        (
            rf"((?:{_NAMES}|token|secret|authorization)\\?[\"']\s*:\s*b?\\?[\"'])"
            rf"{_NO_PLACEHOLDER}[^\"'\\]+",
            rf"\1{MASK}",
        ),
        # ('name', 'value') of header and parameter lists
        (
            rf"([\"'](?:{_NAMES}|token|secret|authorization)[\"']\s*,\s*b?[\"'])[^\"'\\]+",
            rf"\1{MASK}",
        ),
        # name: value of headers
        (rf"(?<![a-z0-9])((?:x-)?(?:{_NAMES})\s*:\s*){_VALUE}", rf"\1{MASK}"),
        (
            r"(\bauthorization\s*[:=]\s*(?:(?:bearer|basic|token)\s+)?+)(?![*])[^\s\"'\\,;]+",
            rf"\1{MASK}",
        ),
        (r"(\b(?:bearer|basic)\s+)(?=[^\s\"'\\]*[0-9=_.\-])(?![*])[^\s\"'\\,;]{8,}", rf"\1{MASK}"),
        # scheme://user:password@host
        (r"(\b[a-z][a-z0-9+.\-]*://[^\s/:@\"']*:)[^\s/\"']+(@)", rf"\1{MASK}\2"),
        # shapes of well-known tokens
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+", MASK),
        (r"\b(?:pk|sk)_(?:live_|test_)?[a-z0-9]{12,}", MASK),
        (r"\bAKIA[0-9A-Z]{16}\b", MASK),
    )
)


def register(secret: Secret) -> None:
    """Remember a secret's value for exact masking (each new `Secret` does so itself)."""
    _REGISTRY.add(secret.reveal())


def redact(text: str) -> str:
    """Text with every known secret, and everything that looks like one, masked.

    Parameters
    ----------
    text : str
        Anything on its way to a person, a log, a file or an exception.

    Returns
    -------
    str
        The same text with ``****`` in place of secrets.
    """
    text = _REGISTRY.mask(text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
