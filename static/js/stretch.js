// Which stretch of time a chart shows, and how wide its candles must be so that no more are drawn than can be seen.

const WIDTH = 3; // px that a candle takes at least
const LEAST = 150;

/** The name of the shortest timeframe from `base` on in which `seconds` of time fit into `width` pixels. */
export function resolution(seconds, base, timeframes, width) {
  const most = Math.max(LEAST, width / WIDTH);
  const longer = Object.entries(timeframes).filter(([, length]) => length >= timeframes[base] && length % timeframes[base] === 0);
  return (longer.find(([, length]) => seconds / length <= most) ?? longer.at(-1))[0];
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
