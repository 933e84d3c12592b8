"""
A report's Markdown as one self-contained HTML page.
"""

from __future__ import annotations

from html import escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2430;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #cfd6e0;padding:.3rem .6rem;text-align:left}"
    "th{background:#f3f5f8}code{background:#f3f5f8;padding:.1rem .3rem;border-radius:3px}"
    "blockquote{margin:1rem 0;padding:.1rem 1rem;border-left:4px solid #cfd6e0;color:#46505f}"
    "@media(prefers-color-scheme:dark){body{background:#14181f;color:#d7dde6}th,code{background:#222934}"
    "th,td{border-color:#3a4454}blockquote{border-color:#3a4454;color:#a9b3c1}}"
)


def html_page(title: str, markdown: str) -> str:
    """
    The page; HTML inside *markdown*, which agents may have written, is shown as text and never obeyed.
    """
    # A daemon that starts again should be back before anyone looks: what only a report needs is loaded for it.
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(markdown)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n{body}</body></html>\n"
    )
