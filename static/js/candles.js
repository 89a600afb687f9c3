// Which candles the chart holds: only the stretch that is looked at is there, and a screen to either side of it. Who
// looks at more time than fits is shown wider candles, made by the server; new ones come as they close.

import { append, candles, chart, chosen, columns, draw, element, lay, settings, toggleIndicator, toggleLayer } from "./candle_chart.js";
import { chartTools, choose, fetchJson, onceEach, placeOf, timeAt } from "./charts.js";
import { onChange } from "./live.js";

const CHUNK = 500;
const MOST = 2_000;
const NEAR = 20; // candles to an end of what is there
const PAUSE = 120; // ms between two looks at where one has scrolled to
const WIDTH = 3; // px that a candle takes at least
const LEAST = 150; // candles that fit however narrow the chart is
const note = document.getElementById("candles-note");
const botUrl = element.dataset.bot;

let timeframe = settings.timeframe;
let shown = timeframe; // the same, or longer where the chosen one would be too many candles
let coming = shown; // what is loaded now, if anything is
let before = null; // ms, where what is there ends; null: at the newest
let newest = 0;
let exhausted = false;
let loading = false;
let looking = 0;
let generation = 0;
const mayAsk = onceEach(element, chart);

/** The name of the shortest timeframe from `base` on in which `seconds` of time fit into `width` pixels. */
function resolution(seconds, base, timeframes, width) {
  const most = Math.max(LEAST, width / WIDTH);
  const longer = Object.entries(timeframes).filter(([, length]) => length >= timeframes[base] && length % timeframes[base] === 0);
  return (longer.find(([, length]) => seconds / length <= most) ?? longer.at(-1))[0];
}

function say(text) {
  note.textContent = text;
  note.hidden = !text;
}

function candlesUrl(parameters, width = shown) {
  const query = new URLSearchParams({ timeframe: width, indicators: [...chosen].join(","), ...parameters });
  return `${settings.url}?${query}`;
}

/** Load a stretch: the last `limit` candles of a `width` before `until` (ms), or of all. */
async function load(limit = CHUNK, until = null, keep = null, width = coming) {
  const mine = ++generation;
  loading = true;
  coming = width;
  element.ariaBusy = "true";
  try {
    const data = await fetchJson(candlesUrl(until === null ? { limit } : { limit, before: until }, width));
    if (mine !== generation) return;
    if (keep && !data.candles.time.length) return; // a timeframe that is not collected yet: what is there stays
    const seen = keep?.();
    if (width !== shown) document.dispatchEvent(new CustomEvent("timeframe", { detail: width }));
    shown = width;
    before = until;
    draw(data, shown === timeframe ? "" : `${shown} candles`);
    exhausted = columns.time.length < limit;
    if (until === null) newest = columns.time.at(-1) ?? 0;
    say(columns.time.length ? "" : "No candles of this timeframe yet. They appear here as the feed collects them.");
    if (seen) show(seen);
    Object.assign(element.dataset, { shown, points: columns.time.length, first: columns.time[0] ?? "" });
    if (botUrl) await loadOverlay();
  } catch (error) {
    if (mine === generation) say(`The candles could not be loaded (${error.message}).`);
  } finally {
    if (mine === generation) [loading, coming] = [false, shown];
    element.ariaBusy = String(loading || looking > 0);
  }
}

async function loadOverlay() {
  if (!columns.time.length) return;
  const mine = generation;
  const range = { from: columns.time[0] * 1000, ...(before === null ? {} : { to: before }) };
  const found = await fetchJson(`${botUrl}?${new URLSearchParams({ timeframe: shown, ...range })}`);
  if (mine === generation) lay(found);
}

/** What is looked at, s; it may reach beyond what is there. */
function visible(step = settings.timeframes[shown], times = columns.time) {
  const range = chart.timeScale().getVisibleLogicalRange();
  return range && times.length ? { from: timeAt(times, range.from, step), to: timeAt(times, range.to, step) } : null;
}

function show(seen) {
  if (!columns.time.length) return;
  const step = settings.timeframes[shown];
  const [from, to] = [seen.from, seen.to].map((time) => placeOf(columns.time, time, step));
  chart.timeScale().setVisibleLogicalRange({ from, to });
}

/** How many candles to either side of so many are loaded with them. */
const room = (width) => Math.max(0, Math.min(width, (MOST - width) / 2 - 2));

/** Load what is looked at and a screen to either side, where it is not there, or not in candles of the right width. */
function look() {
  looking = 0;
  if (loading) {
    lookSoon();
    return;
  }
  element.ariaBusy = "false";
  const range = chart.timeScale().getVisibleLogicalRange();
  if (!range || !columns.time.length) return;
  const length = settings.timeframes[shown];
  const width = range.to - range.from;
  const wanted = resolution(width * length, timeframe, settings.timeframes, element.clientWidth);
  const near = Math.min(NEAR, room(width) / 2); // closer than a load leaves it, or it would be asked for again
  const short = (range.from < near && !exhausted) || (before !== null && range.to > columns.time.length - near);
  if (wanted === shown && !short) return;
  const step = settings.timeframes[wanted];
  const times = columns.time;
  const seen = visible(length, times);
  const margin = room((width * length) / step) * step;
  const end = Math.ceil((seen.to + margin) / step) * step;
  const limit = Math.max(NEAR, Math.min(MOST, Math.ceil((Math.min(end, newest) - seen.from + margin) / step) + 1));
  const until = end > newest ? null : end * 1000;
  if (mayAsk(`${wanted} ${limit} ${until}`)) load(limit, until, () => visible(length, times), wanted);
}

function lookSoon() {
  element.ariaBusy = "true";
  looking ||= setTimeout(look, PAUSE);
}

/** Append the candles that closed since the last one; the last one itself comes too, as it may have been mended. */
async function loadNewer() {
  if (loading || before !== null) return;
  if (!columns.time.length) {
    await load();
    return;
  }
  const mine = generation;
  const data = await fetchJson(candlesUrl({ limit: CHUNK, after: columns.time.at(-1) * 1000 }));
  if (mine !== generation) return;
  if (data.candles.time.length >= CHUNK) {
    await load(); // away for so long that there is a hole in between
    return;
  }
  if (!data.candles.time.length) return;
  append(data);
  newest = columns.time.at(-1);
}

/** A live update that fails is not worth a word: the next one, or the reconnect, brings what was missed. */
const quietly = (task) => () => task().catch((error) => console.debug("live update", error));

chart.timeScale().subscribeVisibleLogicalRangeChange(lookSoon);
// No more candles than one load brings.
chart.timeScale().subscribeSizeChange((width) => chart.applyOptions({ timeScale: { minBarSpacing: Math.max(0.5, width / (MOST - 2 * NEAR)) } }));
for (const link of document.querySelectorAll("[data-timeframe]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    timeframe = link.dataset.timeframe;
    choose(link);
    // What is shown stays what it is until the others are there.
    load(CHUNK, null, null, timeframe).then(() => chart.timeScale().scrollToRealTime());
  });
}
const countChosen = () => {
  document.getElementById("indicators-count").textContent = chosen.size || "";
};
countChosen();
for (const chip of document.querySelectorAll("[data-indicator]")) {
  const name = chip.dataset.indicator;
  chip.setAttribute("aria-pressed", chosen.has(name));
  chip.addEventListener("click", () => {
    chip.setAttribute("aria-pressed", toggleIndicator(name));
    countChosen();
    load(Math.min(Math.max(columns.time.length, CHUNK), MOST), before, visible);
  });
}
for (const chip of document.querySelectorAll("[data-layer]")) {
  chip.addEventListener("click", () => chip.setAttribute("aria-pressed", toggleLayer(chip.dataset.layer)));
}
chartTools(element.closest("section"), candles, async () => {
  if (before !== null) await load();
  chart.timeScale().scrollToRealTime();
});
onChange(`market:${settings.market}`, quietly(loadNewer));
if (botUrl) onChange(element.dataset.topic, quietly(loadOverlay));
// What a form would have a bot do, in the shape of a bot's own overlay.
document.addEventListener("overlay", (event) => lay(event.detail));
load();
