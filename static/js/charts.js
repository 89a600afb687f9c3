// What all charts share: colours out of the style sheet, times in the reader's zone, size and theme.

const { createChart, ColorType, CrosshairMode } = window.LightweightCharts;

const COLOURS = ["text", "muted", "line", "surface", "gain", "loss", "accent", "accent-soft", "series-1", "series-2", "series-3", "series-4", "series-5"];

export function palette() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--chart-${name}`).trim()]));
}

const moment = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
const TICKS = [{ year: "numeric" }, { month: "short" }, { day: "2-digit", month: "short" }, { hour: "2-digit", minute: "2-digit", hour12: false }]
  .map((options) => new Intl.DateTimeFormat(undefined, options));

function options(colour) {
  return {
    layout: {
      background: { type: ColorType.Solid, color: colour.surface },
      textColor: colour.muted,
      fontSize: 11,
      fontFamily: getComputedStyle(document.body).fontFamily,
      panes: { separatorColor: colour.line, separatorHoverColor: colour.line },
    },
    grid: { vertLines: { color: colour.line }, horzLines: { color: colour.line } },
    rightPriceScale: { borderColor: colour.line },
    timeScale: { borderColor: colour.line },
  };
}

/** Of charts of curves: however many points there are, all of them fit. */
export const FITTING = { timeScale: { minBarSpacing: 0.02 } };

/** A chart that fills its element and follows the theme; `recolour(palette)` sets the colours of its series. */
export function makeChart(element, extra, recolour) {
  const chart = createChart(element, {
    autoSize: true,
    // Its style element is refused by the content security policy; the credit is at the foot of every page.
    layout: { attributionLogo: false },
    crosshair: { mode: CrosshairMode.Normal },
    localization: { timeFormatter: (time) => moment.format(time * 1000) },
    ...extra,
  });
  chart.applyOptions({
    timeScale: { timeVisible: true, secondsVisible: false, tickMarkFormatter: (time, type) => TICKS[Math.min(type, 3)].format(time * 1000) },
  });
  const paint = () => {
    const colour = palette();
    chart.applyOptions(options(colour));
    recolour(colour);
  };
  document.addEventListener("themechange", paint);
  return { chart, paint };
}

/** Fetch JSON; a session that has ended leads to the log-in page, other faults are thrown with their sentence. */
export async function fetchJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (answer.redirected) location.reload();
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

export function grouped(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

/** Mark one link of a switch as the chosen one and put its address in the address bar. */
export function choose(link) {
  for (const other of link.parentElement.querySelectorAll("a")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  history.replaceState(history.state, "", link.href);
}
