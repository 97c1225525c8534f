"""The look's tokens: the one place that names a colour or a typeface; style sheets and canvas refer to them by name.

Nothing here knows what is on the page, nor Gradio. System fonts only: a font from another host would hang the page where that
host is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping

FONT = ("system-ui", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "D2Coding", "Consolas", "monospace")

LIGHT: Mapping[str, str] = {
    "bg": "#f7f7f5",
    "surface": "#ffffff",
    "sunken": "#efeeea",
    "ink": "#1d1c1a",
    "muted": "#6b6862",
    "line": "#e2e0da",
    "accent": "#0f766e",
    "accent-ink": "#ffffff",
    "waiting": "#d97706",
    "prefill": "#7c3aed",
    "decode": "#0f9f90",
    "other": "#a8b3bd",
    "api": "#3b82f6",
    "failed": "#dc2626",
    # Words inside a bar, and the hatch over one that was cut short: dark on the bright bars of both themes.
    "bar-ink": "#06201d",
    "hatch": "#ffffffa6",
    "warning-ink": "#92500a",
    "failed-ink": "#b91c1c",
    "code-keyword": "#7c3aed",
    "code-string": "#0f766e",
    "code-number": "#b45309",
    "code-name": "#1d4ed8",
}

DARK: Mapping[str, str] = {
    "bg": "#161614",
    "surface": "#1f1e1c",
    "sunken": "#2a2926",
    "ink": "#efede8",
    "muted": "#a09c94",
    "line": "#34322e",
    "accent": "#2dd4bf",
    "accent-ink": "#06201d",
    "waiting": "#fbbf24",
    "prefill": "#a78bfa",
    "decode": "#2dd4bf",
    "other": "#596470",
    "api": "#60a5fa",
    "failed": "#f87171",
    "bar-ink": "#06201d",
    "hatch": "#161614a6",
    "warning-ink": "#fbbf24",
    "failed-ink": "#fca5a5",
    "code-keyword": "#c4b5fd",
    "code-string": "#5eead4",
    "code-number": "#fbbf24",
    "code-name": "#93c5fd",
}

# For whoever asks for it at a kiosk: everything that is read is at least 7:1 on black (WCAG 2.2, 1.4.6).
CONTRAST: Mapping[str, str] = {
    **DARK,
    "bg": "#000000",
    "surface": "#000000",
    "sunken": "#1c1c1c",
    "ink": "#ffffff",
    "muted": "#ffffff",
    "line": "#ffffff",
    "accent": "#ffe600",
    "accent-ink": "#000000",
    "other": "#c9ced4",
    "decode": "#3df5dd",
    "prefill": "#c9b6ff",
    "api": "#9cc8ff",
    "failed": "#ff9d9d",
    "failed-ink": "#ffb3b3",
}


def tokens_css() -> str:
    """The tokens as custom properties. Gradio puts `dark` on the body when the system is dark, so the two agree."""
    fonts = f"--face:{font_list(FONT)};--mono-face:{font_list(MONO)};"
    return (
        f":root{{{fonts}{_declarations(LIGHT)}color-scheme:light}}"
        f".dark{{{_declarations(DARK)}color-scheme:dark}}"
        f".contrast{{{_declarations(CONTRAST)}color-scheme:dark}}"
        "@media(prefers-color-scheme:dark){:root{color-scheme:dark}}"
    )


def _declarations(tokens: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in tokens.items())


def font_list(names: tuple[str, ...]) -> str:
    """The names as CSS wants them."""
    return ",".join(f'"{name}"' if " " in name else name for name in names)
