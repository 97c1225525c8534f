// @ts-check
/**
 * The way through the picture by keyboard: from request to request along a lane, and from the line to the lanes. Knows no
 * pixels.
 *
 * @import {Scene} from "./board_scene.js"
 * @import {Request} from "./board_model.js"
 */

/** @typedef {{request: Request, row: number, from: number, to: number}} Stop  row -1 is the line */

const LINE = -1;

/**
 * Where a key leads; null if it is none of these.
 * @param {Scene} scene @param {Request | null} chosen @param {string} key @returns {Request | null}
 */
export function walk(scene, chosen, key) {
  const stops = stopsOf(scene);
  const here = stops.findLast(({ request }) => request === chosen);
  if (!here) return (stops.findLast(({ request }) => request.mine) ?? stops.findLast(({ row }) => row === stops.at(-1)?.row))?.request ?? null;
  const row = stops.filter((stop) => stop.row === here.row);
  const place = row.indexOf(here);
  if (key === "ArrowLeft") return (row[place - 1] ?? here).request;
  if (key === "ArrowRight") return (row[place + 1] ?? here).request;
  if (key === "Home") return (row[0] ?? here).request;
  if (key === "End") return (row.at(-1) ?? here).request;
  if (key === "ArrowUp") return across(stops, here, -1).request;
  if (key === "ArrowDown") return across(stops, here, 1).request;
  return null;
}

/** Whoever is there in the next row that is not empty, at about the same time. @param {Stop[]} stops @param {Stop} here @param {number} way */
function across(stops, here, way) {
  const beyond = stops.filter(({ row }) => (row - here.row) * way > 0);
  const next = way > 0 ? Math.min(...beyond.map(({ row }) => row)) : Math.max(...beyond.map(({ row }) => row));
  const middle = (here.from + here.to) / 2;
  const distance = (/** @type {Stop} */ { from, to }) => Math.max(from - middle, middle - to, 0);
  return beyond.filter(({ row }) => row === next).sort((a, b) => distance(a) - distance(b))[0] ?? here;
}

/** In the order of the picture: the line from left to right, then lane by lane. @param {Scene} scene @returns {Stop[]} */
function stopsOf({ at, bars, line }) {
  const waiting = line.filter(({ present }) => present).toReversed();
  const inLine = waiting.map(({ request }) => ({ request, row: LINE, from: at, to: at }));
  const inLanes = bars.map(({ request, lane, from, to }) => ({ request, row: lane, from, to }));
  return [...inLine, ...inLanes.sort((a, b) => a.row - b.row || a.from - b.from)];
}
