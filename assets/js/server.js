// @ts-check
/**
 * What the page asks of the server: plain requests, answered at once. What they lead to arrives over the stream.
 *
 * @import {BoardFrame, Budget, Chat, CompareEvent, EngineStatus, Evaluation, Feedback, Found, Preview, Problem, PromptsFile, Results, Revealed, Sampling, Standings, Variant} from "./protocol.js"
 */
import { chosenModel, modelParameter } from "./models.js";
import { hasText, say } from "./texts.js";

const HEADERS = { "Content-Type": "application/json", "X-Batchat": "1" };

/** The server said no; `message` is a sentence for the person. */
export class Refused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problemText(problem));
    this.code = problem.code;
  }
}

/**
 * A problem in the visitor's language, with the id that the log has too; the server's English where the page has no sentence
 * for it.
 * @param {Problem} problem
 */
export function problemText(problem) {
  const key = `error.${problem.code}`;
  return withId(hasText(key) ? say(key, problem.params) : problem.message, problem);
}

/** A sentence about a problem, with the id that the log has too. @param {string} sentence @param {Problem | null} problem */
export function withId(sentence, problem) {
  return problem?.id ? say("error.with_id", { sentence, id: problem.id }) : sentence;
}

/** @typedef {{text: string, system: string, sampling: Partial<Sampling>}} Draft */

/**
 * @param {string} chat
 * @param {Draft & {replaces?: string}} draft
 * @returns {Promise<{message: string}>}
 */
export function sendMessage(chat, draft) {
  return request("POST", `api/chats/${chat}/messages`, { ...draft, model: chosenModel() });
}

/**
 * @param {string} chat
 * @param {{message: string, system: string, sampling: Partial<Sampling>}} wish
 * @returns {Promise<{message: string}>}
 */
export function regenerate(chat, wish) {
  return request("POST", `api/chats/${chat}/regenerate`, { ...wish, model: chosenModel() });
}

/**
 * @param {string} chat
 * @param {{message: string, system: string, sampling: Partial<Sampling>}} wish
 * @returns {Promise<{message: string}>}
 */
export function goOn(chat, wish) {
  return request("POST", `api/chats/${chat}/continue`, { ...wish, model: chosenModel() });
}

/** @param {string} chat */
export function stop(chat) {
  return request("POST", `api/chats/${chat}/stop`, {});
}

/**
 * @param {string} chat
 * @param {string} message
 * @param {number} version  counted from 1
 */
export function showVersion(chat, message, version) {
  return request("POST", `api/chats/${chat}/version`, { message, version });
}

/**
 * The finished blocks of messages that came without.
 * @param {string} chat
 * @param {string[]} messages
 * @returns {Promise<{blocks: Record<string, string[]>}>}
 */
export function blocksOf(chat, messages) {
  return request("POST", `api/chats/${chat}/blocks`, { messages });
}

/**
 * @param {string} chat
 * @param {Draft} draft
 * @returns {Promise<Budget>}
 */
export function budget(chat, draft) {
  return request("POST", `api/chats/${chat}/budget`, { ...draft, model: chosenModel() });
}

/**
 * @param {string} chat
 * @param {string} message  the last one of the new conversation
 * @param {string} id  the new conversation's
 */
export function branchChat(chat, message, id) {
  return request("POST", `api/chats/${chat}/branch`, { message, branch: id });
}

/**
 * @param {string} chat
 * @param {Partial<Pick<Chat, "title" | "pinned">>} change
 */
export function changeChat(chat, change) {
  return request("PATCH", `api/chats/${chat}`, change);
}

/** @typedef {{deleted: string[], undo_within: number}} Deletion */

/**
 * @param {string} chat
 * @returns {Promise<Deletion>}
 */
export function deleteChat(chat) {
  return request("DELETE", `api/chats/${chat}`);
}

/** @returns {Promise<Deletion>} */
export function deleteAllChats() {
  return request("DELETE", "api/chats");
}

/** @param {string[]} chats */
export function restoreChats(chats) {
  return request("POST", "api/restore", { chats });
}

/**
 * @param {string} words
 * @returns {Promise<Found>}
 */
export function searchChats(words) {
  return request("GET", `api/search?q=${encodeURIComponent(words)}`);
}

/**
 * Adds the conversations of a file that this app, Open WebUI or ChatGPT wrote.
 * @param {File} file
 * @returns {Promise<{chats: string[]}>}
 */
export function importChats(file) {
  return request("POST", "api/import", file);
}

/** @param {number} count  demo requests */
export function startDemo(count) {
  return request("POST", "api/demo", { count, model: chosenModel() });
}

/** Stops all demo requests, whoever asked for them. */
export function stopDemo() {
  return request("DELETE", "api/demo");
}

/**
 * The board with its older steps.
 * @param {number} seconds
 * @returns {Promise<Pick<BoardFrame, "steps" | "steps_from" | "epoch" | "engine">>}
 */
export function boardSteps(seconds) {
  return request("GET", `api/board?window=1&steps=${seconds}${modelParameter()}`);
}

/** @returns {Promise<{name: string | null, may_log_out: boolean}>} */
export function askAccount() {
  return request("GET", "api/account");
}

export function logOut() {
  return request("POST", "logout", {});
}

/** @returns {Promise<EngineStatus>} */
export function askStatus() {
  return request("GET", "api/status");
}

/**
 * What the visitor says of an answer; null takes it back.
 * @param {string} chat
 * @param {string} message
 * @param {Feedback | null} feedback
 */
export function sayOf(chat, message, feedback) {
  return request("POST", `api/chats/${chat}/feedback`, { message, thumb: feedback?.thumb ?? "", reason: feedback?.reason ?? "" });
}

/** The operator's variants. @returns {Promise<{variants: Variant[]}>} */
export function offeredVariants() {
  return request("GET", "api/variants");
}

/** @param {PromptsFile} file @returns {Promise<Preview>} */
export function previewPrompts(file) {
  return request("POST", "api/evaluations/preview", file);
}

/** @param {PromptsFile & {plan: object}} wish @returns {Promise<Evaluation>} */
export function startEvaluation(wish) {
  return request("POST", "api/evaluations", wish);
}

/** @returns {Promise<{evaluations: Evaluation[]}>} */
export function evaluations() {
  return request("GET", "api/evaluations");
}

/** @param {string} id @returns {Promise<Evaluation>} */
export function evaluation(id) {
  return request("GET", `api/evaluations/${id}`);
}

/** @param {string} id @param {"pause" | "resume" | "cancel"} action @returns {Promise<Evaluation>} */
export function actOnEvaluation(id, action) {
  return request("POST", `api/evaluations/${id}/${action}`);
}

/** @param {string} id */
export function deleteEvaluation(id) {
  return request("DELETE", `api/evaluations/${id}`);
}

/** @param {string} id @returns {Promise<Results>} */
export function evaluationResults(id) {
  return request("GET", `api/evaluations/${id}/results`);
}

/**
 * @param {string} id
 * @param {{row: string, variant: string, repeat: number, passed: boolean | null, stars: number | null, comment: string}} rating
 */
export function rateAnswer(id, rating) {
  return request("POST", `api/evaluations/${id}/ratings`, rating);
}

/**
 * Two variants' answers to a row, word by word.
 * @param {string} id
 * @param {string} row
 * @param {number} repeat
 * @param {string} first
 * @param {string} second
 * @returns {Promise<{parts: Array<["same" | "gone" | "new", string]>}>}
 */
export function compareAnswers(id, row, repeat, first, second) {
  return request("GET", `api/evaluations/${id}/differences?${new URLSearchParams({ row, repeat: String(repeat), first, second })}`);
}

/**
 * Answers of several variants as they grow.
 * @param {{prompt: string, tags: string[], variants: Variant[]}} wish
 * @param {AbortSignal} signal  ends it, and frees every lane
 * @returns {AsyncGenerator<CompareEvent>}
 */
export async function* compare(wish, signal) {
  const answer = await reach("api/comparisons", { method: "POST", headers: HEADERS, body: JSON.stringify(wish), signal });
  if (!answer.ok || !answer.body) throw new Refused(await problemOf(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/**
 * @param {string} id
 * @param {string} choice
 * @param {string} reason
 * @returns {Promise<Revealed>}
 */
export function vote(id, choice, reason) {
  return request("POST", `api/comparisons/${id}/vote`, { choice, reason });
}

/** @param {string} tag @returns {Promise<Standings>} */
export function standings(tag) {
  return request("GET", `api/standings?tag=${encodeURIComponent(tag)}`);
}

/**
 * Why the stream of a conversation is refused; null if it is not, or if the server cannot be reached.
 * @param {string} address
 * @returns {Promise<Problem | null>}
 */
export async function whyRefused(address) {
  const given = new AbortController();
  try {
    const answer = await fetch(address, { signal: given.signal });
    leaveIfUnknown(answer);
    const why = answer.status === 404 || answer.status === 403 ? await problemOf(answer) : null;
    return why?.code === "unexpected" ? null : why; // a proxy's own word, while the server is away
  } catch {
    return null;
  } finally {
    given.abort();
  }
}

/**
 * @param {string} method
 * @param {string} address
 * @param {object} [content]  a file is sent as it is, anything else as JSON
 */
export async function request(method, address, content) {
  const answer = await reach(address, {
    method,
    headers: HEADERS,
    body: content instanceof Blob ? content : content && JSON.stringify(content),
  });
  leaveIfUnknown(answer);
  if (!answer.ok) throw new Refused(await problemOf(answer));
  return answer.status === 204 ? undefined : answer.json();
}

/** Whoever is not known any more finds the login at the page's own address. @param {Response} answer */
export function leaveIfUnknown(answer) {
  if (answer.status === 401) location.reload();
}

/**
 * @param {string} address
 * @param {RequestInit} options
 */
async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Refused({ code: "unreachable", message: say("error.unreachable") });
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<Problem>}
 */
async function problemOf(answer) {
  try {
    const { error } = await answer.json();
    if (error?.code) return error;
  } catch {
    // Not ours: a proxy's page, say.
  }
  return { code: "unexpected", message: "", params: { status: answer.status } };
}
