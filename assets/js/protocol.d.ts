/**
 * What travels between the page and the server, as types. Nothing here runs.
 * All addresses are relative to the page, so that it also works under a sub-path.
 */

export type Stage = "importing" | "connecting" | "loading" | "warming" | "ready" | "failed" | "restarting" | "stopping";
export type State = "waiting" | "prefill" | "decode" | "ended";
export type End = "stop" | "length" | "aborted" | "failed" | "interrupted";
export type Door = "page" | "api" | "evaluation" | "demo";

export interface Problem {
  /** The same as in the log; the page's own problems have none. */
  id?: string;
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
  /** 0 if the engine does not say. */
  context: number | null;
  error: Problem | null;
  sampling: Sampling | null;
  /** Sampling settings that this engine does not heed. */
  ignored?: string[];
  /** Whether conversations are kept: not at all by choice, not yet, yes, or not at the moment. */
  history: "off" | "starting" | "keeping" | "failing";
  /** What the engine cannot do or tell. */
  cannot?: string[];
  /** The models that may be chosen from, none where there is no choice; and which one this is about. */
  models?: ModelChoice[];
  chosen?: string;
}

export interface ModelChoice {
  key: string;
  name: string;
  stage: Stage;
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
  /** The rest belongs to answers. The blocks of an older one are null: they are asked for when there is time to draw it. */
  blocks?: string[] | null;
  tail?: Tail | null;
  state?: State;
  place?: number | null;
  eta?: number | null;
  end?: End | null;
  error?: Problem | null;
  dropped?: number;
  timing?: Timing | null;
  request?: number | null;
  feedback?: Feedback | null;
  /** Which models gave the answer. */
  sources?: Source[];
}

/** A model: what the page calls it, and what its engine says. */
export interface Source {
  name: string;
  model: string;
  engine: string;
}

/** What a visitor says of an answer. */
export interface Feedback {
  thumb: "up" | "down";
  reason: string;
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
  Pick<Message, "state" | "place" | "eta" | "end" | "error" | "timing" | "request" | "dropped" | "text" | "feedback" | "sources">
>;

export interface Chat {
  id: string;
  title: string;
  /** Unix seconds. */
  updated: number;
  pinned: boolean;
  running: boolean;
}

export interface ChatsChanged {
  changed: Chat[];
  gone: string[];
}

/** A conversation that a search found: what stands before the word, the word, what follows; null if only the title has it. */
export interface FoundChat extends Chat {
  excerpt: [string, string, string] | null;
}

export interface Found {
  chats: FoundChat[];
}

/** A stay in a lane: [lane, from, to]; `to` is null while it goes on. */
export type StayRow = [number, number, number | null];

/**
 * [id, door, lane, queued, scheduled, first, last, ended, end, prompt tokens, tokens, worst ITL, cached tokens, stays].
 * Times are whole milliseconds since the board's birth, on the server's monotonic clock. `scheduled` is the first time that it
 * got a lane; `stays` is 0 unless it was preempted: then all of them.
 */
export type RequestRow = [
  number, Door, number | null, number, number | null, number | null, number | null, number | null, End | null, number, number,
  number | null, number | null, 0 | StayRow[],
];

export interface EngineFacts {
  lanes: number;
  /** The engine is elsewhere: the rows are this app's own requests, whatever else runs there. */
  seen_from_here: boolean;
  /** Whether the engine decodes in compiled batch sizes and says in which one. */
  buckets: boolean;
  prefix_cache: boolean;
  device: string;
}

/** Goodput's limits in seconds. */
export interface Limits {
  ttft: number;
  itl: number;
}

export interface Figures {
  /** Shares, 0 to 1; null where nothing is known. Occupancy is weighted by time over 60 s, prefix hits over 60 s by tokens. */
  kv: number | null;
  occupancy: number | null;
  prefix_hits: number | null;
  /** Tokens per second. */
  tps: { prompt: number; generation: number };
  /** Demo requests that run, wait or are still to be sent. */
  demo: number;
  /** What the server of an engine elsewhere publishes of itself. */
  server: ServerLoad | null;
  /** What an exporter says of the NPUs. */
  npu: NpuFigures | null;
}

/** All NPUs that are read; watts, and tokens per joule between the last two readings. null: not known. */
export interface NpuFigures {
  npus: Npu[];
  power: number | null;
  tokens_per_joule: number | null;
}

/** One NPU: a share from 0 to 1, watts, degrees Celsius, bytes; null where the exporter does not say. */
export interface Npu {
  name: string;
  card: string;
  utilization: number | null;
  power: number | null;
  temperature: number | null;
  memory_used: number | null;
  memory_total: number | null;
  healthy: boolean | null;
}

/** Everybody's requests there, a share from 0 to 1, tokens per second; null where the server does not say. */
export interface ServerLoad {
  running: number | null;
  waiting: number | null;
  kv_cache: number | null;
  prompt_rate: number | null;
  generation_rate: number | null;
  /** How many servers this is the sum of, and how many there should be. */
  servers: number;
  asked: number;
}

/** The requests of the last `window` seconds, and the mean seconds from arrival to last token in three ways of batching. */
export interface Saved {
  n: number;
  window: number;
  continuous: number;
  static: number;
  single: number;
}

export interface BoardFrame {
  v: 2;
  t: number;
  full: boolean;
  /** Another one is another server with another clock; only in full frames. */
  epoch?: string;
  running: number;
  waiting: number;
  preempted: number;
  requests: RequestRow[];
  /** [id, tokens] of running requests. */
  tokens: Array<[number, number]>;
  /** Flat: (ms since the step before, sequences, prompt tokens) and, where the engine has buckets, the bucket. */
  steps: number[];
  steps_from: number;
  /** What a frame does not bear is as it was. */
  engine?: EngineFacts;
  limits?: Limits;
  figures?: Figures;
  saved?: Saved | null;
}

/**
 * One way of running the same prompts: tokens of each answer, from when to when it had its lane (null: not yet), seconds so
 * far, tokens per second.
 */
export interface Way {
  tokens: number[];
  spans: Array<[number, number] | null>;
  seconds: number;
  rate: number;
}

/** One at a time against together, as far as it has come. */
export interface Comparison {
  phase: "reading" | "single" | "together" | "done" | "stopped" | "failed";
  prompts: string[];
  /** Tokens that each answer gets. */
  length: number;
  lanes: number;
  single: Way;
  together: Way;
  /** Requests of others that were in the batch meanwhile. */
  others: number;
  factor: number | null;
  error: Problem | null;
}

export interface Budget {
  /** null where the engine's server does not say. */
  used: number | null;
  total: number | null;
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
  chats_changed: ChatsChanged;
  mine: number[];
  board: BoardFrame;
  together: Comparison;
  /** The tab shows another conversation now. */
  chat: string;
  /** Another model was chosen. */
  model: string;
  /** The stream is open, or has been lost for a while. */
  connection: "open" | "lost";
  /** The stream is refused for good. */
  refused: Problem;
  /** The shown conversation has an answer that is being made, or not. */
  running: boolean;
  /** A sentence for the person at the composer, or "" to take it away. */
  notice: string;
  language: string;
  /** The board shows another window or another moment. */
  view: void;
  /** Another second passed while the engine is not ready. */
  tick: void;
  /** The list of keys is asked for. */
  keys: void;
  /** What is written in the field changed. */
  draft: void;
  /** The system prompt or a sampling control changed. */
  controls: void;
}

/** One of those that an evaluation compares. */
export interface Variant {
  name: string;
  system: string;
  /** The key of one of several models; none for the usual one. */
  model?: string;
  sampling: { temperature?: number; top_p?: number; max_tokens?: number; seed?: number };
}

/** A prompts file as it was sent: the content as base64. */
export interface PromptsFile {
  name: string;
  content: string;
}

export interface BadRow {
  number: number;
  reason: string;
}

export interface Preview {
  rows: number;
  first: Array<{ id: string; number: number; prompt: string; reference?: string[]; tags?: string[] }>;
  bad: BadRow[];
  tags: string[];
  scores: string[];
}

export interface Evaluation {
  id: string;
  name: string;
  /** Unix seconds. */
  created: number;
  variants: string[];
  scores: string[];
  rows: number;
  bad: BadRow[];
  progress: {
    state: "waiting" | "running" | "paused" | "cancelled" | "failed" | "finished";
    total: number;
    kept: number;
    done: number;
    failed: number;
    /** Answers per second. */
    rate: number | null;
    /** Seconds. */
    eta: number | null;
  };
  active: boolean;
  error: Problem | null;
}

export interface Estimate {
  n: number;
  mean: number;
  low: number | null;
  high: number | null;
}

export interface Difference extends Estimate {
  first: string;
  second: string;
  score: string;
  p: number;
  shown: boolean;
}

/** Seconds. */
export interface Percentiles {
  n: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface AnswerRow {
  row: string;
  tags: string[];
  prompt: string;
  references: string[];
  variant: string;
  repeat: number;
  answer: string;
  end: End | null;
  error: Problem | null;
  scores: Record<string, number>;
  notes: string[];
  comments: string[];
  timing: Timing | null;
}

export interface Results {
  summary: {
    scores: string[];
    tags: string[];
    variants: Record<
      string,
      {
        answered: number;
        failed: number;
        scores: Record<string, Estimate | null>;
        by_tag: Record<string, Record<string, Estimate | null>>;
        latency: Record<"queue" | "ttft" | "tpot" | "e2e", Percentiles>;
        goodput: { per_second: number; limits: { ttft: number; itl: number } } | null;
        tokens_per_second: number | null;
      }
    >;
    pairs: Difference[];
    judge: { agreed: number; changed: number; unreadable: number } | null;
    /** By variant: what it asks of its engine in vain. */
    unheeded: Record<string, Array<keyof Sampling>>;
  };
  rows: AnswerRow[];
  plots: Array<{ kind: "latency" | "by_tag" | "quality"; of: string; svg: string }>;
}

export type CompareEvent = { id: string; sides: number } | { side: number; text: string } | { side: number; end: End | null; error: Problem | null };

export interface Revealed {
  sides: Array<{ variant: string; model: string; engine: string; timing: Timing | null }>;
  void: boolean;
}

export interface Standings {
  places: Array<{ name: string; rank: number; strength: number; low: number; high: number; votes: number; score: number }>;
  wins: Array<{ winner: string; loser: string; wins: number }>;
  votes: number;
  void: number;
  tags: string[];
  /** Whether any two can be told apart. */
  shown: boolean;
  few: boolean;
}
