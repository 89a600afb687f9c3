// A stored backtest: its equity against holding and the fall from the peak, its trades on the candles; or several, as
// parts of the money they began with.

import { FITTING, fetchJson, grouped, leastMove, makeChart, told } from "./charts.js";

const { BaselineSeries, LineSeries, AreaSeries } = window.LightweightCharts;

const legend = document.getElementById("backtest-legend");
const points = (data, values) => data.time.map((time, i) => ({ time, value: values[i] }));
const plain = { priceLineVisible: false, lastValueVisible: false };

async function single(element) {
  let data = await fetchJson(element.dataset.url);
  const money = { type: "custom", minMove: leastMove(1e-8, [...data.equity, ...data.held]), formatter: (value) => grouped(value, data.digits) };
  const share = { type: "custom", minMove: 1e-6, formatter: (value) => `${grouped(100 * value, 2)} %` };
  const { chart, paint } = makeChart(element, FITTING, (colour) => {
    held.applyOptions({ color: colour.muted });
    fall.applyOptions({ lineColor: colour.loss, topColor: `${colour.loss}05`, bottomColor: `${colour.loss}44`, invertFilledArea: true });
    equity.applyOptions({
      topLineColor: colour.gain, topFillColor1: `${colour.gain}33`, topFillColor2: `${colour.gain}05`,
      bottomLineColor: colour.loss, bottomFillColor1: `${colour.loss}05`, bottomFillColor2: `${colour.loss}33`,
    });
  });
  const held = chart.addSeries(LineSeries, { ...plain, lineWidth: 1, priceFormat: money });
  const equity = chart.addSeries(BaselineSeries, { priceLineVisible: false, lineWidth: 2, priceFormat: money, baseValue: { type: "price", price: data.base } });
  const fall = chart.addSeries(AreaSeries, { ...plain, lineWidth: 1, priceFormat: share }, 1);
  const tell = (i) => {
    if (!data.time.length) return;
    legend.replaceChildren(
      told(`${grouped(data.equity[i], data.digits)} ${data.currency}`, `key ${data.equity[i] < data.base ? "down" : "up"}`),
      told(`Buy and hold ${grouped(data.held[i], data.digits)}`, "key key-held"),
      told(`Drawdown ${grouped(100 * data.fall[i], 2)} %`, "key down"),
    );
  };
  const overlay = () => document.dispatchEvent(new CustomEvent("overlay", { detail: { orders: { side: [], price: [], amount: [] }, trades: data.trades, average_price: null } }));
  paint();
  held.setData(points(data, data.held));
  equity.setData(points(data, data.equity));
  fall.setData(points(data, data.fall));
  fall.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0.05 } });
  chart.panes().forEach((one, index) => one.setStretchFactor(index ? 1 : 2));
  chart.timeScale().fitContent();
  chart.subscribeCrosshairMove((at) => tell(at.logical === undefined ? data.time.length - 1 : Math.min(Math.max(at.logical, 0), data.time.length - 1)));
  tell(data.time.length - 1);
  overlay();
  document.addEventListener("timeframe", async (event) => {
    data = { ...data, trades: (await fetchJson(`${element.dataset.url}?timeframe=${event.detail}`)).trades };
    overlay();
  });
}

async function several(element) {
  const series = [];
  const { chart, paint } = makeChart(element, FITTING, (colour) => series.forEach((one, i) => one.applyOptions({ color: colour[`series-${(i % 5) + 1}`] })));
  const share = { type: "custom", minMove: 1e-6, formatter: (value) => `${grouped(100 * (value - 1), 2)} %` };
  for (const link of document.querySelectorAll("[data-compared]")) {
    const data = await fetchJson(link.dataset.compared);
    const line = chart.addSeries(LineSeries, { priceLineVisible: false, lineWidth: 2, priceFormat: share, title: data.name.split(" ")[0] });
    line.setData(points(data, data.equity.map((value) => value / data.base)));
    series.push(line);
  }
  paint();
  chart.timeScale().fitContent();
  // Where nothing is pointed at, the figures below tell how each ended.
  chart.subscribeCrosshairMove((at) => legend.replaceChildren(...series.flatMap((one, i) => {
    const point = at.seriesData.get(one);
    return point ? [told(`${one.options().title} ${grouped(100 * (point.value - 1), 2)} %`, `key key-${(i % 5) + 1}`)] : [];
  })));
}

const one = document.getElementById("backtest-equity");
const many = document.getElementById("backtest-compare");
const failed = (error) => { legend.textContent = `The curve could not be loaded (${error.message}).`; };
if (one) single(one).catch(failed);
if (many) several(many).catch(failed);
// What is worked on tells how far it is; when it is over the page has more to show.
document.addEventListener("htmx:afterSwap", () => {
  if (document.querySelector("#backtest-state[data-over]")) location.reload();
});
