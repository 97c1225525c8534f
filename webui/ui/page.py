"""The chat page as Gradio Blocks: the frame, the composer's controls, and the places that our own elements fill.

Nothing here runs when somebody chats. The scripts (assets/js) hear the field and its buttons themselves, and the settings by
events that are `js=` functions of `window.batchat`; they talk to the server by plain requests, a tenth of what a Gradio event
costs. So there is no gr.State and no Python function either, and Gradio opens no connection per tab. The page is the same for
every visitor; what differs arrives over the event stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from webui.conversation import LIMITS, MAX_STOP_STRINGS, Sampling
from webui.ui.head import head
from webui.ui.texts import ASSETS, Texts, load_texts
from webui.ui.theme import BatchatTheme

TITLE = "Batchat"
SAMPLING_ORDER = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed", "stop")

# Nobody sees the page before its style sheets are there. What is pressed before the modules are there waits for them.
HEAD = (
    "<style>gradio-app{visibility:hidden}</style>"
    "<script>window.batchat={early:[]};batchat.ready=new Promise(open=>{batchat.open=open});"
    "batchat.hold=event=>{batchat.early.push(event)};"
    "for(const kind of['keydown','click'])document.addEventListener(kind,batchat.hold,true)</script>"
)
# The head's script makes `batchat.ready`; the modules resolve it, so an event may come before they are loaded.
_CALL = "async (...values) => (await batchat.ready).{function}(...values)"


def build_page(texts: Texts) -> gr.Blocks:
    """The page; `texts` must be those that `mount_arguments` hands to Gradio."""
    i18n = _i18n(texts)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        _element("page-header")
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="left", min_width=0):
                _element("chat-list")
            with gr.Column(elem_id="middle", min_width=0):
                _element("chat-transcript")
                _composer(i18n)
            with gr.Column(elem_id="right", min_width=0):
                _element("batch-board")
    return blocks


def mount_arguments(texts: Texts | None = None) -> dict[str, Any]:
    """What `gr.mount_gradio_app` is to be given with the page."""
    return {
        "theme": BatchatTheme(),
        "head": head("main.js") + HEAD,
        "i18n": _i18n(texts or load_texts()),
        "favicon_path": str(ASSETS / "icons" / "favicon.png"),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "enable_monitoring": False,
        "show_error": True,
    }


def _element(tag: str) -> None:
    """One of our custom elements; it comes to life whenever its module is loaded, before or after this."""
    gr.HTML(f"<{tag}></{tag}>", elem_classes=["place", f"place-{tag}"], apply_default_css=False, js_on_load=None)


def _composer(i18n: gr.I18n) -> None:
    with gr.Column(elem_id="composer", min_width=0):
        system = _system_panel(i18n)
        sampling, reset = _sampling_panel(i18n)
        _element("page-notice")
        with gr.Column(elem_id="box", min_width=0):
            gr.Textbox(
                placeholder=i18n("composer.placeholder"),
                label=i18n("composer.message"),
                container=False,
                lines=1,
                max_lines=8,
                interactive=True,
                elem_id="message",
            )
            with gr.Row(elem_id="actions"):
                _element("composer-chips")
                _element("context-meter")
                gr.Button(i18n("composer.stop"), variant="primary", size="sm", elem_id="stop")
                gr.Button(i18n("composer.send"), variant="primary", size="sm", elem_id="send")
        _wire([system, *sampling], reset)


def _system_panel(i18n: gr.I18n) -> gr.Textbox:
    with gr.Column(elem_id="system-panel", min_width=0):
        return gr.Textbox(
            label=i18n("system.label"),
            info=i18n("system.info"),
            placeholder=i18n("system.placeholder"),
            lines=3,
            max_lines=8,
            elem_id="system-prompt",
        )


def _sampling_panel(i18n: gr.I18n) -> tuple[list[Component], gr.Button]:
    """The sampling controls in the order of SAMPLING_ORDER, and the button that brings the model's defaults back."""
    with gr.Column(elem_id="sampling", min_width=0):
        with gr.Row(elem_id="sampling-controls"):
            controls = [_sampling_control(name, i18n) for name in SAMPLING_ORDER]
        reset = gr.Button(i18n("sampling.reset"), size="sm", elem_id="sampling-reset")
    return controls, reset


def _sampling_control(name: str, i18n: gr.I18n) -> Component:
    words: dict[str, Any] = {"label": i18n(f"sampling.{name}"), "info": i18n(f"sampling.{name}.info")}
    place: dict[str, Any] = {"elem_id": f"sampling-{name}", "min_width": 0}
    default = getattr(Sampling(), name)
    if name == "stop":
        return gr.Textbox(lines=2, max_lines=MAX_STOP_STRINGS, **words, **place)
    limit = LIMITS[name]
    if default is None:
        return gr.Number(
            None,
            minimum=limit.low,
            maximum=limit.high,
            precision=0,
            placeholder=i18n(f"sampling.{name}.empty"),
            **words,
            **place,
        )
    return gr.Slider(limit.low, limit.high, default, step=limit.step, buttons=[], **words, **place)


def _wire(controls: Sequence[Component], reset: gr.Button) -> None:
    """Every event of Gradio's on the page. What an output gets is what the JavaScript function returns."""
    reset.click(None, None, list(controls[1:]), js=_call("defaultSampling"), show_progress="hidden")
    # The scripts press this one when they learn of the model's defaults: only an event can set a control.
    refresh = gr.Button(visible="hidden", elem_id="controls-refresh")
    refresh.click(None, None, list(controls), js=_call("rememberedControls"), show_progress="hidden")
    gr.on(
        [control.change for control in controls],
        None,
        list(controls),
        None,
        js=_call("controlsChanged"),
        show_progress="hidden",
    )


def _call(function: str) -> str:
    return _CALL.replace("{function}", function)


def _i18n(texts: Texts) -> gr.I18n:
    """The words on Gradio's own controls; ours come to the browser as a file."""
    return gr.I18n(**{language: _control_texts(sentences) for language, sentences in texts.items()})


def _control_texts(sentences: Any) -> dict[str, str]:
    prefixes = ("composer.", "system.", "sampling.")
    return {key: text for key, text in sentences.items() if key.startswith(prefixes)}
