"""What the evaluation pages ask: preview, runs and their results; comparisons, votes and standings.

It turns HTTP into calls of `evaluation/` and back. The pages themselves need no Gradio, like the wall.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from webui.background import in_background
from webui.errors import BadInput
from webui.evaluation.comparisons import Comparisons
from webui.evaluation.evaluations import Evaluation, Evaluations, differences
from webui.evaluation.folder import REPORTS
from webui.evaluation.results import STARS, Rating
from webui.evaluation.variants import Variant, read_variant
from webui.evaluation.votes import pseudonym
from webui.server.chat_api import body_of, check_guard, text_in, visitor_of
from webui.server.json_response import json_response
from webui.server.list_api import INERT
from webui.ui.head import page

FILE_AT_MOST = 32 * 2**20  # bytes of a prompts file …
BODY_AT_MOST = FILE_AT_MOST * 4 // 3 + 2**20  # … which travels as base64 in JSON
TEXT_AT_MOST = 4000  # characters of a reason or a comment
TAGS_AT_MOST = 10
TYPES = {"results.jsonl": "application/jsonl", "summary.csv": "text/csv", "report.html": "text/html"}


class EvaluationApi:
    """The pages and their requests.

    Args:
        evaluations: the runs.
        comparisons: the blind comparisons.
        variants: a folder of variants that are offered, or None.
    """

    def __init__(self, evaluations: Evaluations, comparisons: Comparisons, variants: Path | None) -> None:
        self._evaluations = evaluations
        self._comparisons = comparisons
        self._variants = variants

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        one = "/api/evaluations/{id}"
        return [
            Route("/evaluate", partial(_page, name="evaluate")),
            Route("/compare", partial(_page, name="compare")),
            Route("/api/variants", self.variants),
            Route("/api/evaluations", self.listed),
            Route("/api/evaluations", self.start, methods=["POST"]),
            Route("/api/evaluations/preview", self.preview, methods=["POST"]),
            Route(one, self.shown),
            Route(one, self.delete, methods=["DELETE"]),
            Route(one + "/results", self.results),
            Route(one + "/differences", self.differences),
            Route(one + "/files/{name}", self.file),
            Route(one + "/ratings", self.rate, methods=["POST"]),
            Route(one + "/{action:str}", self.act, methods=["POST"]),
            Route("/api/comparisons", self.compare, methods=["POST"]),
            Route("/api/comparisons/{id}/vote", self.vote, methods=["POST"]),
            Route("/api/standings", self.standings),
        ]

    async def variants(self, request: Request) -> Response:
        """Those of the operator's folder, without any that cannot be read."""
        paths = sorted(self._variants.glob("*.toml")) if self._variants is not None else []
        return json_response({"variants": [variant.as_dict() for variant in _readable(paths)]})

    async def preview(self, request: Request) -> Response:
        """What a file holds."""
        check_guard(request)
        name, content = _file_in(await body_of(request, BODY_AT_MOST))
        return json_response(await in_background(lambda: self._evaluations.preview(name, content)))

    async def start(self, request: Request) -> Response:
        """Begins a run."""
        check_guard(request)
        body = await body_of(request, BODY_AT_MOST)
        name, content = _file_in(body)
        plan = body.get("plan")
        if not isinstance(plan, dict):
            raise BadInput(field="plan", reason="an object is wanted")
        wanted = {key: value for key, value in plan.items() if key not in ("owner", "created")}
        return json_response(self._evaluations.start(visitor_of(request), wanted, name, content).as_dict(), 201)

    async def listed(self, request: Request) -> Response:
        """The visitor's runs."""
        return json_response({"evaluations": [each.as_dict() for each in self._evaluations.of(visitor_of(request))]})

    async def shown(self, request: Request) -> Response:
        """How far a run is."""
        return json_response(self._found(request).as_dict())

    async def act(self, request: Request) -> Response:
        """Pause, resume, cancel."""
        check_guard(request)
        evaluation = self._found(request)
        actions = {"pause": self._evaluations.pause, "resume": self._evaluations.resume, "cancel": self._evaluations.cancel}
        action = actions.get(request.path_params["action"])
        if action is None:
            raise BadInput(field="action", reason="pause, resume or cancel is wanted")
        action(evaluation)
        return json_response(evaluation.as_dict())

    async def delete(self, request: Request) -> Response:
        """Ends a run and forgets it."""
        check_guard(request)
        await self._evaluations.delete(self._found(request))
        return Response(status_code=204)

    async def results(self, request: Request) -> Response:
        """What it comes to by now."""
        return json_response(await in_background(self._found(request).results))

    async def differences(self, request: Request) -> Response:
        """Two answers to one row, word by word."""
        evaluation, query = self._found(request), request.query_params
        texts = evaluation.folder.texts()
        repeat = query.get("repeat", "0")
        if not repeat.isdecimal():
            raise BadInput(field="repeat", reason="a whole number is wanted")
        places = [(query.get("row", ""), query.get(side, ""), int(repeat)) for side in ("first", "second")]
        if any(place not in texts for place in places):
            raise BadInput(field="row", reason="there are no such two answers")
        parts = await in_background(lambda: differences(texts[places[0]], texts[places[1]]))
        return json_response({"parts": parts})

    async def file(self, request: Request) -> Response:
        """A report as a file."""
        evaluation, name = self._found(request), request.path_params["name"]
        if name not in REPORTS:
            raise BadInput(field="name", reason=f"one of {', '.join(REPORTS)} is wanted")
        reports = await in_background(evaluation.folder.reports)
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(reports[name], media_type=TYPES[name], headers={**headers, "content-security-policy": INERT})

    async def rate(self, request: Request) -> Response:
        """What a person says of an answer."""
        check_guard(request)
        evaluation, body = self._found(request), await body_of(request, BODY_AT_MOST)
        self._evaluations.rate(evaluation, _rating(body, pseudonym(visitor_of(request))))
        return json_response({})

    def _found(self, request: Request) -> Evaluation:
        return self._evaluations.find(request.path_params["id"], visitor_of(request))

    async def compare(self, request: Request) -> Response:
        """Answers of several variants as they grow, one JSON object per line; closing the connection frees their lanes."""
        check_guard(request)
        body = await body_of(request, BODY_AT_MOST)
        variants, tags = body.get("variants"), body.get("tags", [])
        if not isinstance(variants, list) or not all(isinstance(each, dict) for each in variants):
            raise BadInput(field="variants", reason="a list of variants is wanted")
        if not isinstance(tags, list) or len(tags) > TAGS_AT_MOST or not all(isinstance(tag, str) for tag in tags):
            raise BadInput(field="tags", reason=f"a list of at most {TAGS_AT_MOST} texts is wanted")
        comparison = self._comparisons.start(
            visitor_of(request), text_in(body, "prompt"), [Variant.of(each) for each in variants], [tag[:40] for tag in tags]
        )

        async def lines() -> AsyncIterator[bytes]:
            yield orjson.dumps({"id": comparison.id, "sides": len(comparison.sides)}) + b"\n"
            async with aclosing(self._comparisons.answers(comparison)) as events:  # type: ignore[type-var]
                async for event in events:
                    yield orjson.dumps(event) + b"\n"

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(lines(), media_type="application/jsonl", headers=headers)

    async def vote(self, request: Request) -> Response:
        """Takes a vote and tells whose is which."""
        check_guard(request)
        body = await body_of(request, BODY_AT_MOST)
        comparison = self._comparisons.find(request.path_params["id"], visitor_of(request))
        return json_response(
            self._comparisons.vote(comparison, text_in(body, "choice"), text_in(body, "reason")[:TEXT_AT_MOST])
        )

    async def standings(self, request: Request) -> Response:
        """What all votes say."""
        return json_response(await self._comparisons.standings(request.query_params.get("tag", "")))


async def _page(request: Request, name: str) -> Response:
    return HTMLResponse(page("evaluation", f"{name}.js"), headers={"cache-control": "no-store"})


def _file_in(body: dict[str, Any]) -> tuple[str, bytes]:
    """(name, content) of the file in a body."""
    try:
        return text_in(body, "name")[:200], base64.b64decode(text_in(body, "content"), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(field="content", reason="base64 is wanted") from None


def _rating(body: dict[str, Any], rater: str) -> Rating:
    repeat, passed, stars = body.get("repeat", 0), body.get("passed"), body.get("stars")
    if isinstance(repeat, bool) or not isinstance(repeat, int):
        raise BadInput(field="repeat", reason="a whole number is wanted")
    if passed is not None and not isinstance(passed, bool):
        raise BadInput(field="passed", reason="true or false is wanted")
    if stars is not None and (isinstance(stars, bool) or stars not in range(1, STARS + 1)):
        raise BadInput(field="stars", reason=f"1 to {STARS} are wanted")
    comment = text_in(body, "comment")[:TEXT_AT_MOST]
    return Rating(text_in(body, "row"), text_in(body, "variant"), repeat, rater, passed, stars, comment)


def _readable(paths: list[Path]) -> list[Variant]:
    variants = []
    for path in paths:
        try:
            variants.append(read_variant(path))
        except BadInput:
            continue  # said when the app started
    return variants
