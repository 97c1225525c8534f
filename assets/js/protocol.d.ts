/**
 * What travels between the page and the server, as types. Nothing here runs.
 * All addresses are relative to the page, so that it also works under a sub-path.
 */

export type Stage = "importing" | "connecting" | "loading" | "warming" | "ready" | "failed" | "restarting" | "stopping";
export type State = "waiting" | "prefill" | "decode" | "ended";
export type End = "stop" | "length" | "aborted" | "failed";
export type Door = "page" | "api" | "evaluation" | "demo";

export interface Problem {
  code: string;
  message: string;
  params?: Record<string, string | number>;
}

export interface Sampling {
  temperature: number;
  top_p: number;
  top_k: number;
  min_p: number;
  repetition_penalty: number;
  max_tokens: number | null;
  stop: string[];
  seed: number | null;
}

export interface EngineStatus {
  stage: Stage;
  /** Seconds in this stage, seconds since the start. */
  since: number;
  elapsed: number;
  model: string | null;
  device: string | null;
  engine: string | null;
  /** 0 if the engine does not say. */
  lanes: number | null;
  context: number | null;
  error: Problem | null;
  sampling: Sampling | null;
  /** What the engine cannot do or tell. */
  cannot?: string[];
}

export interface Tail {
  kind: "text" | "code" | "table";
  text: string;
}

/** Seconds, but for the counts and `tokens_per_second`. */
export interface Timing {
  queue: number;
  prefill: number;
  decode: number;
  ttft: number;
  tpot: number | null;
  e2e: number;
  prompt_tokens: number;
  tokens: number;
  tokens_per_second: number | null;
  /** False where queue and prefill could not be told apart: `queue` holds both. */
  split: boolean;
}

export interface Message {
  id: string;
  role: "user" | "assistant" | "system";
  text: string;
  /** Which of how many siblings this is, counted from 1. */
  version: number;
  versions: number;
  /** The rest belongs to answers. */
  blocks?: string[];
  tail?: Tail | null;
  state?: State;
  place?: number | null;
  eta?: number | null;
  end?: End | null;
  error?: Problem | null;
  dropped?: number;
  timing?: Timing | null;
  request?: number | null;
}

export interface MessagesEvent {
  after: string | null;
  messages: Message[];
}

export interface TextEvent {
  message: string;
  blocks?: string[];
  tail?: Tail;
  append?: string;
}

export type TurnEvent = { message: string } & Partial<
  Pick<Message, "state" | "place" | "eta" | "end" | "error" | "timing" | "request" | "dropped" | "text">
>;

export interface Chat {
  id: string;
  title: string;
  /** Unix seconds. */
  updated: number;
  running: boolean;
}

/** [id, door, lane, queued, scheduled, first, ended, end, prompt tokens, tokens]; times in the server's monotonic seconds. */
export type RequestRow = [
  number, Door, number | null, number, number | null, number | null, number | null, End | null, number, number,
];

export interface BoardFrame {
  t: number;
  full: boolean;
  lanes: number;
  /** The engine is elsewhere: the rows are this app's own requests, whatever else runs there. */
  seen_from_here: boolean;
  running: number;
  waiting: number;
  kv: number | null;
  tps: { prompt: number; generation: number };
  occupancy: number | null;
  ttft_p95: number | null;
  ttft_n: number;
  requests: RequestRow[];
}

export interface Budget {
  used: number;
  total: number;
  dropped: number;
  fits: boolean;
}

/** Everything the parts of the page tell each other: the stream's events by their own names, then the page's own. */
export interface Events {
  status: EngineStatus;
  messages: MessagesEvent;
  text: TextEvent;
  turn: TurnEvent;
  chats: Chat[];
  mine: number[];
  board: BoardFrame;
  /** The tab shows another conversation now. */
  chat: string;
  /** The stream is open, or has been lost for a while. */
  connection: "open" | "lost";
  /** The stream is refused for good. */
  refused: Problem;
  /** The shown conversation has an answer that is being made, or not. */
  running: boolean;
  /** A sentence for the person at the composer, or "" to take it away. */
  notice: string;
  language: string;
  /** Another second passed while the engine is not ready. */
  tick: void;
  /** What is written in the field changed. */
  draft: void;
  /** The system prompt or a sampling control changed. */
  controls: void;
}
