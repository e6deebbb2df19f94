"""Links in answers that come through the proxy (P): what points to the backend must point through this server.

Location headers and the attributes of HTML that hold URLs. Follows apimachinery's util/proxy/transport.go.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_ATTRIBUTES: Final[dict[str, list[str]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "html_links.json").read_text(encoding="utf-8")
)
_RAW_TEXT: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_START: Final = re.compile(r"<!--|<(?=[a-zA-Z])")
_TAG: Final = re.compile(r"<([a-zA-Z][^\s/>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*+)>")
_ATTRIBUTE: Final = re.compile(r"([^\s=/>\"']+)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s>]+)")


class Rewriter:
    """`prefix`: this server's path up to and with `proxy`. `authority`: the backend's, `host`: the client's Host."""

    def __init__(self, prefix: str, authority: str, host: str) -> None:
        self._prefix, self._own = prefix, ("", authority, host)

    def url(self, text: str) -> str:
        """Only absolute paths of the same host are changed."""
        try:
            parts = urlsplit(text)
        except ValueError:
            return text
        if parts.netloc not in self._own or not parts.path.startswith("/"):
            return text
        path = parts.path
        if not path.startswith(self._prefix):
            path = posixpath.normpath(self._prefix + path)
            path += "/" if parts.path.endswith("/") and not path.endswith("/") else ""
        kept = (parts.scheme, parts.netloc) if parts.netloc and parts.netloc == self._own[2] else ("", "")
        return urlunsplit((*kept, path, parts.query, parts.fragment))

    def html(self, text: str) -> str:
        """One pass: what is not closed properly ends the changing, so that no page can cost more than its length."""
        out, position = list[str](), 0
        while (start := _START.search(text, position)) is not None:
            out.append(text[position : start.start()])
            position = start.start()
            piece = self._comment(text, position) if start[0] == "<!--" else self._element(text, position)
            if piece is None:
                break
            changed, position = piece
            out.append(changed)
        return "".join([*out, text[position:]])

    def _comment(self, text: str, start: int) -> tuple[str, int] | None:
        end = text.find("-->", start)
        return (text[start : end + 3], end + 3) if end >= 0 else None

    def _element(self, text: str, start: int) -> tuple[str, int] | None:
        """A start tag, with the text behind it if that is not HTML; and where it ends."""
        found = _TAG.match(text, start)
        if found is None:
            return None
        name = found[1].lower()
        tag = _tag(found, _ATTRIBUTES.get(name, ()), self.url)
        if name not in _RAW_TEXT:
            return tag, found.end()
        closing = re.compile(f"</{name}", re.IGNORECASE).search(text, found.end())
        end = closing.start() if closing is not None else len(text)
        return tag + text[found.end() : end], end


def _tag(found: re.Match[str], names: list[str] | tuple[()], change: Callable[[str], str]) -> str:
    if not names:
        return found[0]

    def attribute(match: re.Match[str]) -> str:
        if match[1].lower() not in names:
            return match[0]
        value = match[3][1:-1] if match[3][0] in "\"'" else match[3]
        return f'{match[1]}="{html.escape(change(html.unescape(value)))}"'

    return f"<{found[1]}{_ATTRIBUTE.sub(attribute, found[2])}>"
