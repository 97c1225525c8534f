"""The look as Gradio sees it: a Gradio theme that is made of our tokens. Nothing here knows what is on the page."""

from __future__ import annotations

import gradio as gr

from webui.ui.tokens import DARK, FONT, LIGHT, MONO, font_list


class BatchatTheme(gr.themes.Base):
    """Gradio's own controls in the page's colours: quiet surfaces, one accent, hairlines instead of shadows."""

    def __init__(self) -> None:
        super().__init__(font=list(FONT), font_mono=list(MONO), spacing_size="sm", radius_size="md", text_size="md")
        self.name = "batchat"
        # Gradio quotes every name, and a quoted "system-ui" would be a font that nobody has.
        self.font, self.font_mono = font_list(FONT), font_list(MONO)
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
