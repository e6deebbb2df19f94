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
_MARKUP: Final = re.compile(r"<!--.*?-->|<([a-zA-Z][^\s/>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL)
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
        out, position = [], 0
        while (found := _MARKUP.search(text, position)) is not None:
            out.append(text[position : found.start()])
            name = (found[1] or "").lower()
            out.append(_tag(found, _ATTRIBUTES.get(name, ()), self.url))
            position = found.end()
            if name in _RAW_TEXT:
                closing = re.compile(f"</{name}", re.IGNORECASE).search(text, position)
                end = closing.start() if closing is not None else len(text)
                out.append(text[position:end])
                position = end
        return "".join([*out, text[position:]])


def _tag(found: re.Match[str], names: list[str] | tuple[()], change: Callable[[str], str]) -> str:
    if not names:
        return found[0]

    def attribute(match: re.Match[str]) -> str:
        if match[1].lower() not in names:
            return match[0]
        value = match[3][1:-1] if match[3][0] in "\"'" else match[3]
        return f'{match[1]}="{html.escape(change(html.unescape(value)))}"'

    return f"<{found[1]}{_ATTRIBUTE.sub(attribute, found[2])}>"
