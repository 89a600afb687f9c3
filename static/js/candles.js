// The candles chart: volume, indicators, new candles as they close; on a bot's page its open orders as lines, its trades
// as arrows and the average price of its position. Only the stretch that is looked at is there, and a screen to either
// side of it; who looks at more time than fits is shown wider candles, made by the server.

import { chartTools, choose, fetchJson, grouped, leastMove, makeChart, onceEach, palette, told } from "./charts.js";
import { onChange } from "./live.js";
import { placeOf, resolution, timeAt } from "./stretch.js";

const { CandlestickSeries, HistogramSeries, LineSeries, LineStyle, createSeriesMarkers } = window.LightweightCharts;

const CHUNK = 500;
const MOST = 2_000;
const NEAR = 20; // candles to an end of what is there
const FEW = 8; // orders: so many are told on the axis, of more the nearest of each side
const PAUSE = 120; // ms between two looks at where one has scrolled to
const element = document.getElementById("candles");
const settings = JSON.parse(document.getElementById(element.dataset.settings).textContent);
const legend = document.getElementById("candles-legend");
const note = document.getElementById("candles-note");
const botUrl = element.dataset.bot;

let timeframe = settings.timeframe;
let columns = { time: [], open: [], high: [], low: [], close: [], volume: [] };
let indicators = {};
let shown = timeframe; // the same, or longer where the chosen one would be too many candles
let coming = shown; // what is loaded now, if anything is
let before = null; // ms, where what is there ends; null: at the newest
let newest = 0;
let exhausted = false;
let loading = false;
let looking = 0;
let overlay = null;
let orderLines = [];
let lines = [];
let generation = 0;
const layers = { orders: true, trades: true };
const chosen = new Set(remembered());

const { chart, paint } = makeChart(element, { timeScale: { rightOffset: 4 } }, recolour);
const mayAsk = onceEach(element, chart);
const candles = chart.addSeries(CandlestickSeries, { priceFormat: priceFormat(settings.tick, []) });
const volume = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false });
candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.22 } });
volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
const marks = createSeriesMarkers(candles, []);
paint();

function remembered() {
  try {
    return JSON.parse(localStorage.getItem("indicators")) ?? [];
  } catch {
    return []; // switched off or not ours: begin without
  }
}

function recolour(colour) {
  candles.applyOptions({
    upColor: colour.gain, borderUpColor: colour.gain, wickUpColor: colour.gain,
    downColor: colour.loss, borderDownColor: colour.loss, wickDownColor: colour.loss,
  });
  if (!columns.time.length) return;
  drawVolume(colour);
  drawIndicators(colour);
  drawOverlay(colour);
}

function priceFormat(wanted, values, digits = settings.digits) {
  return { type: "custom", minMove: leastMove(wanted, values), formatter: (value) => grouped(value, digits) };
}

const bar = (i) => ({ time: columns.time[i], open: columns.open[i], high: columns.high[i], low: columns.low[i], close: columns.close[i] });
const shade = (i, colour) => ({ time: columns.time[i], value: columns.volume[i], color: `${columns.close[i] < columns.open[i] ? colour.loss : colour.gain}55` });

function drawVolume(colour) {
  volume.setData(columns.time.map((_, i) => shade(i, colour)));
}

function drawIndicators(colour) {
  for (const line of lines) chart.removeSeries(line.series);
  lines = [];
  let pane = 1;
  let hue = 0;
  for (const name of Object.keys(settings.indicators).filter((one) => chosen.has(one) && indicators[one])) {
    const own = settings.indicators[name].pane === "own";
    for (const [output, values] of Object.entries(indicators[name])) {
      const histogram = output === "histogram";
      const series = chart.addSeries(
        histogram ? HistogramSeries : LineSeries,
        {
          color: histogram ? colour.muted : colour[`series-${(hue % 5) + 1}`], lineWidth: 1, priceLineVisible: false,
          lastValueVisible: own && !histogram, crosshairMarkerVisible: false,
          priceFormat: priceFormat(1e-8, values, digitsOf(name)),
        },
        own ? pane : 0,
      );
      if (output === Object.keys(indicators[name])[0]) drawLevels(series, name, colour);
      if (!histogram) hue += 1;
      series.setData(columns.time.map((time, i) => (values[i] === null ? { time } : { time, value: values[i] })));
      lines.push({ name, output, series, values, color: series.options().color });
    }
    if (own) pane += 1;
  }
  chart.panes().forEach((one, index) => one.setStretchFactor(index ? 1 : 4));
}

const digitsOf = (name) => settings.indicators[name].digits ?? settings.digits;

function drawLevels(series, name, colour) {
  for (const price of settings.indicators[name].levels) {
    series.createPriceLine({ price, color: colour.muted, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: false });
  }
}

/** Orders that are told on the axis: all of a few, of many the nearest buy and the nearest sell. */
function toldOrders({ price, side }) {
  if (price.length <= FEW) return new Set(price.keys());
  const last = columns.close.at(-1);
  const nearest = {};
  price.forEach((at, i) => {
    const best = nearest[side[i]];
    if (best === undefined || Math.abs(at - last) < Math.abs(price[best] - last)) nearest[side[i]] = i;
  });
  return new Set(Object.values(nearest));
}

function orderLine(i, named, colour) {
  const { side, price, amount } = overlay.orders;
  return candles.createPriceLine({
    price: price[i], color: `${side[i] === "buy" ? colour.gain : colour.loss}${named ? "" : "80"}`, lineWidth: 1,
    lineStyle: LineStyle.Dotted, axisLabelVisible: named, title: named ? `${side[i]} ${amount[i]}` : "",
  });
}

function drawOverlay(colour) {
  for (const line of orderLines) candles.removePriceLine(line);
  orderLines = [];
  marks.setMarkers([]);
  if (!overlay) return;
  if (layers.orders) {
    const named = toldOrders(overlay.orders);
    orderLines = overlay.orders.price.map((_, i) => orderLine(i, named.has(i), colour));
  }
  if (overlay.average_price !== null) {
    orderLines.push(candles.createPriceLine({ price: overlay.average_price, color: colour.accent, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, title: "average" }));
  }
  if (layers.trades) marks.setMarkers(visibleMarks(colour));
}

function visibleMarks(colour) {
  const { time, side, count } = overlay.trades;
  const [first, last] = [columns.time[0], columns.time.at(-1)];
  return time.flatMap((at, i) => {
    if (at < first || at > last) return [];
    const buy = side[i] === "buy";
    return [{
      time: at, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown",
      color: buy ? colour.gain : colour.loss, size: 1, text: count[i] > 1 ? `${count[i]}` : "",
    }];
  });
}

function tell(index) {
  if (index < 0) return;
  const parts = ["open", "high", "low", "close"].map((name) => `${name[0].toUpperCase()} ${grouped(columns[name][index], settings.digits)}`);
  const change = (columns.close[index] / columns.open[index] - 1) * 100;
  legend.replaceChildren(
    ...(shown === timeframe ? [] : [told(`${shown} candles`, "dim")]),
    told(parts.join("  "), change < 0 ? "down" : "up"),
    told(`${change >= 0 ? "+" : ""}${grouped(change, 2)} %`, change < 0 ? "down" : "up"),
    told(`V ${grouped(columns.volume[index], 2)} ${settings.base}`, "dim"),
    ...lines.map((line) => {
      const { label } = settings.indicators[line.name];
      const name = line.output === line.name ? label : `${label} ${line.output.replace("_", " ")}`;
      const text = told(`${name} ${grouped(line.values[index], digitsOf(line.name))}`, "");
      text.style.color = line.color;
      return text;
    }),
  );
}

function say(text) {
  note.textContent = text;
  note.hidden = !text;
}

function candlesUrl(parameters, width = shown) {
  const query = new URLSearchParams({ timeframe: width, indicators: [...chosen].join(","), ...parameters });
  return `${settings.url}?${query}`;
}

function redraw() {
  const colour = palette();
  candles.applyOptions({ priceFormat: priceFormat(settings.tick, columns.high) });
  candles.setData(columns.time.map((_, i) => bar(i)));
  drawVolume(colour);
  drawIndicators(colour);
  drawOverlay(colour);
  tell(columns.time.length - 1);
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
    ({ candles: columns, indicators } = data);
    before = until;
    exhausted = columns.time.length < limit;
    if (until === null) newest = columns.time.at(-1) ?? 0;
    say(columns.time.length ? "" : "No candles of this timeframe yet. They appear here as the feed collects them.");
    redraw();
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
  if (mine !== generation) return;
  overlay = found;
  drawOverlay(palette());
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
  const colour = palette();
  data.candles.time.forEach((time, i) => {
    const at = time === columns.time.at(-1) ? columns.time.length - 1 : columns.time.length;
    for (const key of Object.keys(columns)) columns[key][at] = data.candles[key][i];
    candles.update(bar(at));
    volume.update(shade(at, colour));
    for (const line of lines) {
      const value = data.indicators[line.name]?.[line.output]?.[i] ?? null;
      line.values[at] = value;
      line.series.update(value === null ? { time } : { time, value });
    }
  });
  if (!data.candles.time.length) return;
  newest = columns.time.at(-1);
  tell(columns.time.length - 1);
}

/** A live update that fails is not worth a word: the next one, or the reconnect, brings what was missed. */
const quietly = (task) => () => task().catch((error) => console.debug("live update", error));

chart.timeScale().subscribeVisibleLogicalRangeChange(lookSoon);
// No more candles than one load brings.
chart.timeScale().subscribeSizeChange((width) => chart.applyOptions({ timeScale: { minBarSpacing: Math.max(0.5, width / (MOST - 2 * NEAR)) } }));
chart.subscribeCrosshairMove((at) => {
  const last = columns.time.length - 1;
  tell(at.logical === undefined ? last : Math.min(Math.max(at.logical, 0), last));
});

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
    if (!chosen.delete(name)) chosen.add(name);
    countChosen();
    chip.setAttribute("aria-pressed", chosen.has(name));
    try {
      localStorage.setItem("indicators", JSON.stringify([...chosen]));
    } catch {
      // storage may be switched off: the choice lasts as long as the page
    }
    load(Math.min(Math.max(columns.time.length, CHUNK), MOST), before, visible);
  });
}
for (const chip of document.querySelectorAll("[data-layer]")) {
  chip.addEventListener("click", () => {
    const layer = chip.dataset.layer;
    layers[layer] = !layers[layer];
    chip.setAttribute("aria-pressed", layers[layer]);
    drawOverlay(palette());
  });
}
chartTools(element.closest("section"), candles, async () => {
  if (before !== null) await load();
  chart.timeScale().scrollToRealTime();
});
onChange(`market:${settings.market}`, quietly(loadNewer));
if (botUrl) onChange(element.dataset.topic, quietly(loadOverlay));
// What a form would have a bot do, in the shape of a bot's own overlay.
document.addEventListener("overlay", (event) => {
  overlay = event.detail;
  if (columns.time.length) drawOverlay(palette());
});
load();
