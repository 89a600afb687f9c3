// The equity curve: a baseline chart, green above where the period began and red below. Who clicks into it can zoom with
// the wheel; a part that is looked at closely is loaded again, in as many points as the whole had.

import { FITTING, choose, fetchJson, grouped, leastMove, makeChart, onceEach, placeOf, timeAt } from "./charts.js";
import { onChange } from "./live.js";

const { BaselineSeries } = window.LightweightCharts;

const PAUSE = 150; // ms between two looks at where one has zoomed to
const FEW = 0.3; // of the points that there are: so few on the screen are too coarse
const CURVES = ["pnl", "equity", "drawdown"];
// A page that is scrolled past a chart is not to be held by it.
const STILL = { handleScale: { mouseWheel: false }, handleScroll: { mouseWheel: false, vertTouchDrag: false } };

function start(element) {
  const legend = document.getElementById("equity-legend");
  let data = null;
  let whole = null; // the period: from and to in s, and with what each curve begins in it
  let part = null; // of it, what is there: from and to
  let looking = 0;
  let asked = 0;
  let period = element.dataset.period;
  // Money given to bots and taken back moves the equity of them all; the curve of gains alone does not jump.
  let curve = document.querySelector("[data-curve][aria-current]")?.dataset.curve ?? "equity";
  const { chart, paint } = makeChart(element, { ...FITTING, ...STILL }, (colour) =>
    series.applyOptions({
      topLineColor: colour.gain, topFillColor1: `${colour.gain}40`, topFillColor2: `${colour.gain}08`,
      bottomLineColor: colour.loss, bottomFillColor1: `${colour.loss}08`, bottomFillColor2: `${colour.loss}40`,
    }),
  );
  const series = chart.addSeries(BaselineSeries, { lineWidth: 2, priceLineVisible: false });
  const mayAsk = onceEach(element, chart);
  chart.applyOptions({ rightPriceScale: { scaleMargins: { top: 0.12, bottom: 0.08 } } });
  paint();

  const tell = (index) => {
    const value = data[curve][index];
    legend.classList.remove("legend-note");
    if (curve === "drawdown") {
      legend.textContent = `${grouped(value, data.digits)} ${data.currency} from the highest`;
      return;
    }
    const gain = data.change[index];
    const tone = gain > 0 ? "up" : gain < 0 ? "down" : "flat";
    const arrow = gain > 0 ? "▲+" : gain < 0 ? "▼" : "";
    legend.textContent = `${grouped(value, data.digits)} ${data.currency} `;
    const change = Object.assign(document.createElement("span"), { className: tone });
    change.textContent = `${arrow}${grouped(gain, data.digits)}`;
    legend.append(change);
  };

  const draw = (loaded) => {
    data = loaded;
    element.classList.toggle("chart-empty", !data.time.length);
    if (!data.time.length) {
      legend.classList.add("legend-note");
      legend.textContent = "No equity recorded in this period yet.";
      series.setData([]);
      return;
    }
    // The period's gain is measured from what was known before its first point; other curves from their own first.
    const gains = data.pnl ?? data.equity;
    if (!part) whole = { from: data.time[0], to: data.time.at(-1), first: Object.fromEntries(CURVES.filter((name) => data[name]).map((name) => [name, data[name][0]])) };
    const base = data[curve] === gains ? data.base : whole.first[curve];
    data.change = gains.map((value) => value - data.base);
    series.applyOptions({
      baseValue: { type: "price", price: base },
      priceFormat: { type: "custom", minMove: leastMove(10 ** -data.digits, data[curve]), formatter: (value) => grouped(value, data.digits) },
    });
    series.setData(data.time.map((time, index) => ({ time, value: data[curve][index] })));
    Object.assign(element.dataset, { points: data.time.length, first: data.time[0], last: data.time.at(-1) });
    tell(data.time.length - 1);
  };

  /** The whole period, or a part of it: then what was looked at stays where it is. */
  const load = async (wanted = null) => {
    const mine = ++asked;
    const address = new URL(element.dataset.equity, location.href);
    address.searchParams.set("period", period);
    if (wanted) for (const end of ["from", "to"]) address.searchParams.set(end, Math.round(wanted[end] * 1000));
    try {
      const loaded = await fetchJson(address);
      // Inside a hole there is nothing to draw, and nothing to leave it by: what is there stays.
      if (mine !== asked || (wanted && !loaded.time.length)) return;
      const seen = wanted && loaded.time.length ? visible() : null;
      part = wanted;
      draw(loaded);
      if (seen) show(seen);
      else chart.timeScale().fitContent();
    } catch (error) {
      if (mine === asked) legend.textContent = `The curve could not be loaded (${error.message}).`;
    } finally {
      if (mine === asked) element.ariaBusy = String(looking > 0);
    }
  };

  const step = () => Math.max((data.time.at(-1) - data.time[0]) / Math.max(data.time.length - 1, 1), 1);

  const visible = () => {
    const range = chart.timeScale().getVisibleLogicalRange();
    const [from, to] = [range.from, range.to].map((place) => timeAt(data.time, place, step()));
    return { from: Math.max(from, whole.from), to: Math.min(to, whole.to) };
  };

  const show = (seen) => {
    const [from, to] = [seen.from, seen.to].map((time) => placeOf(data.time, time, step()));
    chart.timeScale().setVisibleLogicalRange({ from, to });
  };

  const look = () => {
    looking = 0;
    element.ariaBusy = "false";
    if (!data?.time.length || !chart.timeScale().getVisibleLogicalRange()) return;
    const seen = visible();
    const span = seen.to - seen.from;
    if (span <= 0) return;
    const there = part ?? whole;
    const points = placeOf(data.time, seen.to, step()) - placeOf(data.time, seen.from, step());
    const coarse = points < FEW * data.time.length && data.time.length > 0.9 * data.most;
    const outside = seen.from < there.from || seen.to > there.to;
    if (!coarse && !outside) return;
    const wanted = { from: Math.max(whole.from, seen.from - span / 2), to: Math.min(whole.to, seen.to + span / 2) };
    if (!mayAsk(`${Math.round(wanted.from)} ${Math.round(wanted.to)}`)) return;
    element.ariaBusy = "true";
    load(wanted.from <= whole.from && wanted.to >= whole.to ? null : wanted);
  };

  chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
    element.ariaBusy = "true";
    looking ||= setTimeout(look, PAUSE);
  });
  element.addEventListener("pointerdown", () => chart.applyOptions({ handleScale: { mouseWheel: true } }));
  element.addEventListener("pointerleave", () => chart.applyOptions({ handleScale: { mouseWheel: false } }));
  chart.subscribeCrosshairMove((at) => {
    if (data?.time.length) tell(at.logical === undefined ? data.time.length - 1 : Math.min(Math.max(at.logical, 0), data.time.length - 1));
  });
  for (const link of document.querySelectorAll("[data-period]:not(.chart)")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      period = link.dataset.period;
      choose(link);
      for (const table of document.querySelectorAll("[data-table]")) {
        const address = new URL(table.href);
        address.searchParams.set("period", period);
        table.href = address;
      }
      load();
    });
  }
  for (const link of document.querySelectorAll("[data-curve]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      curve = link.dataset.curve;
      choose(link);
      if (data) draw(data);
    });
  }
  if (element.dataset.liveChart) onChange(element.dataset.liveChart, () => part ?? load());
  load();
}

document.querySelectorAll("[data-equity]").forEach(start);
