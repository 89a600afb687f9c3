// A bot's form: whatever is typed is tried on the past at once; the newest answer counts, older ones are dropped.

import { FITTING, checked, grouped, leastMove, makeChart, told } from "./charts.js";

const { BaselineSeries, LineSeries } = window.LightweightCharts;

const PAUSE = 150; // ms after the last keystroke
const form = document.getElementById("bot-form");
const shown = document.getElementById("preview");
const legend = document.getElementById("preview-legend");
let data = { time: [] };
let timer = 0;
let asked = null;
let timeframe = "";

const { chart, paint } = makeChart(document.getElementById("preview-equity"), FITTING, recolour);
const held = chart.addSeries(LineSeries, { lineWidth: 1, priceLineVisible: false, lastValueVisible: false });
const equity = chart.addSeries(BaselineSeries, { lineWidth: 2, priceLineVisible: false });

function recolour(colour) {
  held.applyOptions({ color: colour.muted });
  equity.applyOptions({
    topLineColor: colour.gain, topFillColor1: `${colour.gain}33`, topFillColor2: `${colour.gain}05`,
    bottomLineColor: colour.loss, bottomFillColor1: `${colour.loss}05`, bottomFillColor2: `${colour.loss}33`,
  });
}

function tell(index) {
  if (!data.time.length) {
    legend.textContent = "";
    return;
  }
  legend.replaceChildren(
    told(`${grouped(data.equity[index], data.digits)} ${data.currency}`, `key ${data.equity[index] < data.base ? "down" : "up"}`),
    told(`Buy and hold ${grouped(data.held[index], data.digits)}`, "key key-held"),
  );
}

function draw() {
  data = { time: [], ...JSON.parse(document.getElementById("preview-chart").textContent) };
  // What was not tried has no curve: an empty chart would show the axis of the one before.
  document.querySelector("[data-had-run]").hidden = !data.time.length;
  const minMove = leastMove(1e-8, [...(data.equity ?? []), ...(data.held ?? [])]);
  const priceFormat = { type: "custom", minMove, formatter: (value) => grouped(value, data.digits ?? 2) };
  held.applyOptions({ priceFormat });
  equity.applyOptions({ priceFormat, baseValue: { type: "price", price: data.base ?? 0 } });
  equity.setData(data.time.map((time, i) => ({ time, value: data.equity[i] })));
  held.setData(data.time.map((time, i) => ({ time, value: data.held[i] })));
  chart.timeScale().fitContent();
  tell(data.time.length - 1);
  const orders = data.orders ?? { side: [], price: [], amount: [] };
  const trades = data.trades ?? { time: [], side: [], price: [], amount: [], count: [] };
  document.dispatchEvent(new CustomEvent("overlay", { detail: { orders, trades, average_price: null } }));
}

function blame() {
  const problems = JSON.parse(document.getElementById("preview-problems").textContent);
  for (const place of form.querySelectorAll("[data-problem]")) {
    place.textContent = problems[place.dataset.problem] ?? "";
    place.parentElement.classList.toggle("field-wrong", Boolean(place.textContent));
  }
}

function address() {
  const typed = new URLSearchParams(new FormData(form));
  typed.delete("csrfmiddlewaretoken");
  return `${location.pathname}?${typed}`;
}

async function refresh() {
  asked?.abort();
  asked = new AbortController();
  const mine = asked;
  try {
    const answer = await fetch(`${address()}&chart=${timeframe}`, { headers: { "HX-Request": "true" }, signal: mine.signal });
    const text = await checked(answer).text();
    if (mine !== asked) return;
    const opened = shown.querySelector("details")?.open;
    shown.innerHTML = text;
    if (opened) shown.querySelector("details")?.setAttribute("open", "");
    blame();
    draw();
    shown.dataset.answer = String(Number(shown.dataset.answer ?? 0) + 1);
  } catch (error) {
    if (error.name !== "AbortError") legend.textContent = `It could not be tried (${error.message}).`;
  }
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, PAUSE);
});
for (const choice of form.querySelectorAll("[data-reload]")) {
  choice.addEventListener("change", (event) => {
    event.stopPropagation();
    clearTimeout(timer);
    location.assign(address());
  });
}
document.addEventListener("timeframe", (event) => {
  timeframe = event.detail;
  refresh();
});
for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;

chart.subscribeCrosshairMove((at) => {
  tell(at.logical === undefined ? data.time.length - 1 : Math.min(Math.max(at.logical, 0), data.time.length - 1));
});
paint();
draw();
