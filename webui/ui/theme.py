"""The look as Gradio sees it: our tokens, and a Gradio theme that is made of them.

The tokens are the one place that names a colour; the style sheets and the canvas refer to them by name. Nothing here knows
what is on the page. System fonts only: a font from another host would hang the page where that host is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

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


def tokens_css() -> str:
    """The tokens as custom properties. Gradio puts `dark` on the body when the system is dark, so the two agree."""
    fonts = f"--face:{_font_list(FONT)};--mono-face:{_font_list(MONO)};"
    return (
        f":root{{{fonts}{_declarations(LIGHT)}color-scheme:light}}"
        f".dark{{{_declarations(DARK)}color-scheme:dark}}"
        "@media(prefers-color-scheme:dark){:root{color-scheme:dark}}"
    )


def _declarations(tokens: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in tokens.items())


def _font_list(names: tuple[str, ...]) -> str:
    return ",".join(f'"{name}"' if " " in name else name for name in names)


class BatchatTheme(gr.themes.Base):
    """Gradio's own controls in the page's colours: quiet surfaces, one accent, hairlines instead of shadows."""

    def __init__(self) -> None:
        super().__init__(font=list(FONT), font_mono=list(MONO), spacing_size="sm", radius_size="md", text_size="md")
        self.name = "batchat"
        # Gradio quotes every name, and a quoted "system-ui" would be a font that nobody has.
        self.font, self.font_mono = _font_list(FONT), _font_list(MONO)
        self.set(
            # Gradio's page template paints the body before any style sheet is there, so these two are plain colours.
            body_background_fill=LIGHT["bg"],
            body_background_fill_dark=DARK["bg"],
            body_text_color=LIGHT["ink"],
            body_text_color_dark=DARK["ink"],
            **_same_in_both_themes(
                body_text_color_subdued="var(--muted)",
                background_fill_primary="var(--surface)",
                background_fill_secondary="var(--bg)",
                border_color_accent="var(--accent)",
                border_color_primary="var(--line)",
                link_text_color="var(--accent)",
                link_text_color_hover="var(--accent)",
                link_text_color_active="var(--accent)",
                link_text_color_visited="var(--accent)",
                code_background_fill="var(--sunken)",
                block_background_fill="transparent",
                block_border_width="0px",
                block_info_text_color="var(--muted)",
                block_label_text_color="var(--muted)",
                block_title_text_color="var(--ink)",
                block_shadow="none",
                panel_background_fill="transparent",
                panel_border_width="0px",
                input_background_fill="var(--bg)",
                input_background_fill_focus="var(--surface)",
                input_border_color="var(--line)",
                input_border_color_focus="var(--accent)",
                input_placeholder_color="var(--muted)",
                input_shadow="none",
                input_shadow_focus="none",
                loader_color="var(--accent)",
                slider_color="var(--accent)",
                button_primary_background_fill="var(--accent)",
                button_primary_background_fill_hover="var(--accent)",
                button_primary_text_color="var(--accent-ink)",
                button_primary_text_color_hover="var(--accent-ink)",
                button_secondary_background_fill="var(--surface)",
                button_secondary_background_fill_hover="var(--sunken)",
                button_secondary_text_color="var(--ink)",
                button_secondary_text_color_hover="var(--ink)",
                button_secondary_border_color="var(--line)",
                button_secondary_border_color_hover="var(--line)",
            ),
            color_accent="var(--accent)",
            block_padding="0px",
            block_title_text_weight="500",
            block_title_text_size="13px",
            block_info_text_size="12px",
            input_border_width="1px",
            input_padding="6px 10px",
            input_text_size="14px",
            layout_gap="0px",
            form_gap_width="0px",
            button_border_width="1px",
            button_transition="none",
            button_large_radius="99px",
            button_small_radius="99px",
            button_small_text_size="13px",
            button_small_padding="4px 12px",
        )


def _same_in_both_themes(**values: str) -> dict[str, str]:
    """A custom property changes with the theme by itself, so Gradio's light and dark variables both refer to it."""
    return values | {f"{name}_dark": value for name, value in values.items()}
