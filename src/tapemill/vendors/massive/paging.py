"""Following `next_url`: an absolute address that must not be trusted and must not be prefixed."""

from __future__ import annotations

import dataclasses
import ipaddress
import urllib.parse

from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request

__all__ = ["following"]

_HOSTS = frozenset({"api.massive.com", "api.polygon.io"})
_CREDENTIALS = frozenset({"apikey", "api_key", "token", "access_token"})


def following(
    request: Request, next_url: str, *, base_url: str, expect: tuple[tuple[str, str], ...]
) -> Request:
    """The request for the page that `next_url` points to.

    Only path and cursor are taken: the page is fetched from the configured address, so that a
    foreign host never sees the key. Credentials inside the address are dropped.

    Raises
    ------
    BadAnswerError
        The address is relative, on a foreign host, of another ticker, or this very page again.
    """
    parts = urllib.parse.urlsplit(next_url)
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not _ours(host, base_url):
        raise BadAnswerError(
            f"next_url points to {host or next_url!r}, not to the vendor",
            where=f"page {request.page} of {request.path}",
            next_step="check massive.base_url; a proxy may rewrite answers",
        )
    query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    params = tuple((name, value) for name, value in query if name.lower() not in _CREDENTIALS)
    path = parts.path
    if base_path := urllib.parse.urlsplit(base_url).path.rstrip("/"):
        path = path.removeprefix(base_path)
    wanted = _ticker(request.path)
    if wanted and _ticker(path) != wanted:
        raise BadAnswerError(f"next_url leads to {path}, away from ticker {wanted}")
    page = dataclasses.replace(
        request, path=path, params=params, page=request.page + 1, expect=expect
    )
    if page.key == request.key:
        raise BadAnswerError(f"cursor loop: page {request.page} names itself as the next page")
    return page


def _ours(host: str, base_url: str) -> bool:
    configured = (urllib.parse.urlsplit(base_url).hostname or "").lower()
    return host in _HOSTS or host == configured or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ticker(path: str) -> str:
    parts = path.split("/")
    if parts[1:4] == ["v2", "aggs", "ticker"]:
        return urllib.parse.unquote(parts[4])
    if parts[1:2] == ["v3"] and parts[2] in ("trades", "quotes") and len(parts) == 4:
        return f"{parts[2]} of {urllib.parse.unquote(parts[3])}"
    return ""
