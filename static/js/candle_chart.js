// What the candles chart shows: candles, volume, indicators, and on a bot's page its open orders as lines, its trades as
// arrows and the average price of its position. What of the past is there is the business of candles.js.

import { grouped, leastMove, makeChart, palette, told } from "./charts.js";

const { CandlestickSeries, HistogramSeries, LineSeries, LineStyle, createSeriesMarkers } = window.LightweightCharts;

const FEW = 8; // orders: so many are told on the axis, of more the nearest of each side

export const element = document.getElementById("candles");
export const settings = JSON.parse(document.getElementById(element.dataset.settings).textContent);
export const chosen = new Set(remembered()); // indicators
export let columns = { time: [], open: [], high: [], low: [], close: [], volume: [] };
const legend = document.getElementById("candles-legend");
const layers = { orders: true, trades: true };
let indicators = {};
let note = ""; // before the figures of a candle
let overlay = null;
let orderLines = [];
let lines = [];

const { chart, paint } = makeChart(element, { timeScale: { rightOffset: 4 } }, recolour);
const candles = chart.addSeries(CandlestickSeries, { priceFormat: priceFormat(settings.tick, []) });
const volume = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false });
candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.22 } });
volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
const marks = createSeriesMarkers(candles, []);
export { candles, chart };
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
    ...(note ? [told(note, "dim")] : []),
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

/** Exchange all that is shown for other candles, with the values of the indicators chosen. */
export function draw(found, wider) {
  ({ candles: columns, indicators } = found);
  note = wider;
  const colour = palette();
  candles.applyOptions({ priceFormat: priceFormat(settings.tick, columns.high) });
  candles.setData(columns.time.map((_, i) => bar(i)));
  drawVolume(colour);
  drawIndicators(colour);
  drawOverlay(colour);
  tell(columns.time.length - 1);
}

/** Add candles behind the last one; one of the last one's time takes its place. */
export function append(found) {
  const colour = palette();
  found.candles.time.forEach((time, i) => {
    const at = time === columns.time.at(-1) ? columns.time.length - 1 : columns.time.length;
    for (const key of Object.keys(columns)) columns[key][at] = found.candles[key][i];
    candles.update(bar(at));
    volume.update(shade(at, colour));
    for (const line of lines) {
      const value = found.indicators[line.name]?.[line.output]?.[i] ?? null;
      line.values[at] = value;
      line.series.update(value === null ? { time } : { time, value });
    }
  });
  tell(columns.time.length - 1);
}

/** Show these orders, trades and average price, in the shape of a bot's chart.json. */
export function lay(found) {
  overlay = found;
  if (columns.time.length) drawOverlay(palette());
}

/** Show or hide "orders" or "trades"; whether it is shown now. */
export function toggleLayer(layer) {
  layers[layer] = !layers[layer];
  drawOverlay(palette());
  return layers[layer];
}

/** Choose an indicator or no longer, and remember it; whether it is chosen now. What is drawn stays until a draw(). */
export function toggleIndicator(name) {
  if (!chosen.delete(name)) chosen.add(name);
  try {
    localStorage.setItem("indicators", JSON.stringify([...chosen]));
  } catch {
    // storage may be switched off: the choice lasts as long as the page
  }
  return chosen.has(name);
}

chart.subscribeCrosshairMove((at) => {
  const last = columns.time.length - 1;
  tell(at.logical === undefined ? last : Math.min(Math.max(at.logical, 0), last));
});
