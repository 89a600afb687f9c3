// The equity curve: a baseline chart, green above where the period began and red below.

import { choose, fetchJson, grouped, makeChart } from "./charts.js";
import { onChange } from "./live.js";

const { BaselineSeries } = window.LightweightCharts;

function start(element) {
  const legend = document.getElementById("equity-legend");
  let data = null;
  let period = element.dataset.period;
  // Money given to bots and taken back moves the equity of them all; the curve of gains alone does not jump.
  let curve = document.querySelector("[data-curve][aria-current]")?.dataset.curve ?? "equity";
  const { chart, paint } = makeChart(element, { handleScale: false, handleScroll: false }, (colour) =>
    series.applyOptions({
      topLineColor: colour.gain, topFillColor1: `${colour.gain}40`, topFillColor2: `${colour.gain}08`,
      bottomLineColor: colour.loss, bottomFillColor1: `${colour.loss}08`, bottomFillColor2: `${colour.loss}40`,
    }),
  );
  const series = chart.addSeries(BaselineSeries, { lineWidth: 2, priceLineVisible: false });
  chart.applyOptions({ rightPriceScale: { scaleMargins: { top: 0.12, bottom: 0.08 } } });
  paint();

  const tell = (index) => {
    const value = data[curve][index];
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
    if (!data.time.length) {
      legend.textContent = "No equity recorded in this period yet.";
      series.setData([]);
      return;
    }
    // The period's gain is measured from what was known before its first point; other curves from their own first.
    const gains = data.pnl ?? data.equity;
    const base = data[curve] === gains ? data.base : data[curve][0];
    data.change = gains.map((value) => value - data.base);
    series.applyOptions({
      baseValue: { type: "price", price: base },
      priceFormat: { type: "custom", minMove: 10 ** -data.digits, formatter: (value) => grouped(value, data.digits) },
    });
    series.setData(data.time.map((time, index) => ({ time, value: data[curve][index] })));
    chart.timeScale().fitContent();
    tell(data.time.length - 1);
  };

  const load = async () => {
    const address = new URL(element.dataset.equity, location.href);
    address.searchParams.set("period", period);
    try {
      draw(await fetchJson(address));
    } catch (error) {
      legend.textContent = `The curve could not be loaded (${error.message}).`;
    }
  };

  chart.subscribeCrosshairMove((at) => {
    if (data?.time.length) tell(at.logical === undefined ? data.time.length - 1 : Math.min(Math.max(at.logical, 0), data.time.length - 1));
  });
  for (const link of document.querySelectorAll("[data-period]:not(.chart)")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      period = link.dataset.period;
      choose(link);
      load();
    });
  }
  for (const link of document.querySelectorAll("[data-curve]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      curve = link.dataset.curve;
      choose(link);
      draw(data);
    });
  }
  if (element.dataset.liveChart) onChange(element.dataset.liveChart, load);
  load();
}

document.querySelectorAll("[data-equity]").forEach(start);
