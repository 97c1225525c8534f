/**
 * What test_board_truth.py asks of the board's modules beyond a single call. Runs in the page that board_pages.py serves.
 */
import { Clock } from "../../assets/js/board_clock.js";
import { BoardModel } from "../../assets/js/board_model.js";
import { sceneAt, waitingAt } from "../../assets/js/board_scene.js";
import { Steps } from "../../assets/js/board_steps.js";

export function columns(flat, buckets, width) {
  const steps = new Steps();
  steps.add({ steps: flat, steps_from: 0 }, buckets, new Map());
  return steps.columns(0, 200, width).map(({ only, ...rest }) => ({ ...rest, single: only !== null }));
}

/** From when to when each step was. */
export function stepTimes(frame, requests) {
  const steps = new Steps();
  steps.add(frame, false, new Map(requests.map((request, id) => [id, request])));
  return steps.list.map(({ from, at }) => [from, at]);
}

/** Who is where at each of these moments. */
export function places(frame, moments) {
  const model = new BoardModel();
  model.apply(frame, 0);
  return moments.map((at) => {
    const { bars, line } = sceneAt(model, at, 60_000);
    const stays = bars.map(({ lane, from, to }) => [lane, from, to]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return {
      running: bars.filter((bar) => !bar.over).map((bar) => bar.request.id),
      waiting: line.filter((brick) => brick.present).map((brick) => brick.request.id),
      inLine: waitingAt(model, at).map(({ id }) => id),
      overlaps: stays.filter(([lane, from], i) => i && stays[i - 1][0] === lane && stays[i - 1][2] > from).length,
    };
  });
}

/** What a model knows after these frames; how many tokens a running request has is told once a second only. */
export function knowledge(frames, since) {
  const model = new BoardModel();
  for (const frame of frames) model.apply(frame, frame.t);
  const { running, waiting, preempted, figures } = model;
  const requests = [...model.requests.values()].sort((a, b) => a.id - b.id);
  for (const request of requests) if (request.ended === null) delete request.tokens;
  const steps = model.steps.list.filter(({ at }) => at > since).map(({ at, running: size, prompt, bucket }) => [at, size, prompt, bucket]);
  return { running, waiting, preempted, figures, requests, steps };
}

/** When a request of this row was in a lane, and when it waited. */
export function stays(row) {
  const model = new BoardModel();
  model.put(row);
  const { stays: inLanes, waits } = model.requests.get(row[0]);
  return { stays: inLanes, waits };
}

/** What time it is, and how many requests are known, after these frames at these moments. */
export function after(frames, moments) {
  const model = new BoardModel();
  frames.forEach((frame, i) => model.apply(frame, moments[i]));
  return [model.now(moments.at(-1)), model.requests.size];
}

/** The moments to draw at these times, when the server told its time once. */
export function drawn(told, heard, times) {
  const clock = new Clock();
  clock.observe(told, heard);
  return times.map((now) => clock.drawn(now));
}
