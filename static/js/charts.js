// What all charts share: colours out of the style sheet, times in the reader's zone, size and theme.

const { createChart, ColorType, CrosshairMode, PriceScaleMode } = window.LightweightCharts;

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

/** What the buttons of a chart's card do: a logarithmic scale, the way back to the newest, the whole screen. */
export function chartTools(card, series, latest) {
  const tools = {
    log: (button) => {
      const on = button.ariaPressed !== "true";
      button.ariaPressed = on;
      series.priceScale().applyOptions({ mode: on ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal });
    },
    latest,
    full: () => (document.fullscreenElement ? document.exitFullscreen() : card.requestFullscreen()),
  };
  for (const button of card.querySelectorAll("[data-tool]")) {
    button.hidden = button.dataset.tool === "full" && !document.fullscreenEnabled;
    button.addEventListener("click", () => tools[button.dataset.tool](button));
  }
  card.addEventListener("fullscreenchange", () => {
    const button = card.querySelector('[data-tool="full"]');
    button.ariaPressed = document.fullscreenElement === card;
  });
}

/** A word of a legend, in the look of the line that it tells about. */
export function told(text, className) {
  return Object.assign(document.createElement("span"), { textContent: text, className });
}

/**
 * An answer as it is. Where it is the log-in page, that is gone to and leads back here: to load this page anew would go
 * on for ever where the page is answered and what it asks for is not. Other faults are thrown with their sentence.
 */
export function checked(answer) {
  if (answer.redirected) {
    const login = new URL(answer.url);
    login.searchParams.set("next", location.pathname + location.search);
    location.assign(login);
    throw new Error("the session has ended");
  }
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer;
}

export async function fetchJson(address) {
  return checked(await fetch(address, { headers: { Accept: "application/json" } })).json();
}

const formats = new Map(); // to make one takes longer than to use it a hundred times

export function grouped(value, digits) {
  if (value === null || value === undefined) return "–";
  if (!formats.has(digits)) {
    // A loss that rounds to nothing is not told as "−0.00".
    const signDisplay = "negative";
    formats.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay }));
  }
  return formats.get(digits).format(value).replace("-", "−");
}

/**
 * The least move of an axis with these values: `wanted`, or one that still counts beside the largest of them. The library
 * walks down its axis by such moves; where rounding swallows them it would walk for ever.
 */
export function leastMove(wanted, values) {
  const least = 1e-14 * values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
  return least > wanted ? Math.min(10 ** Math.ceil(Math.log10(least)), 1) : wanted;
}

/**
 * Whether a chart may ask a question: each once, until somebody moves the chart or its size changes. Whatever an answer
 * moves, it never makes the chart ask on and on.
 */
export function onceEach(element, chart) {
  const asked = new Set();
  const forget = () => asked.clear();
  for (const gesture of ["wheel", "pointerdown", "touchmove"]) element.addEventListener(gesture, forget, { capture: true, passive: true });
  element.addEventListener("pointermove", (event) => event.buttons && forget(), { capture: true });
  chart.timeScale().subscribeSizeChange(forget);
  return (question) => !asked.has(question) && Boolean(asked.add(question));
}

/** The time (s) at a place among ascending times; beyond their ends as if they went on every `step` seconds. */
export function timeAt(times, place, step) {
  const last = times.length - 1;
  if (place <= 0) return times[0] + place * step;
  if (place >= last) return times[last] + (place - last) * step;
  const whole = Math.floor(place);
  return times[whole] + (place - whole) * (times[whole + 1] - times[whole]);
}

/** The other way round: the place of a time. */
export function placeOf(times, time, step) {
  const last = times.length - 1;
  if (time <= times[0]) return (time - times[0]) / step;
  if (time >= times[last]) return last + (time - times[last]) / step;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  return low + (time - times[low]) / (times[high] - times[low]);
}

/** Mark one link of a switch as the chosen one and put its address in the address bar. */
export function choose(link) {
  for (const other of link.parentElement.querySelectorAll("a")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  history.replaceState(history.state, "", link.href);
}
