// What every page does: live parts, the theme switch, times that age, dialogs that ask before something is done.

import { begin } from "./live.js";

const AGES = [[86_400, "d"], [3_600, "h"], [60, "min"]];
let exact = exactTimes();

// In the zone chosen on the settings page, else in that of the system.
function exactTimes() {
  const styles = { dateStyle: "medium", timeStyle: "long" };
  try {
    return new Intl.DateTimeFormat(undefined, { ...styles, timeZone: localStorage.getItem("zone") || undefined });
  } catch {
    return new Intl.DateTimeFormat(undefined, styles); // no storage, or a zone this browser does not know
  }
}

function age(seconds) {
  for (const [length, unit] of AGES) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  return "just now";
}

function refreshTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    const seconds = (Date.now() - time) / 1000;
    if (seconds < 30 * 86_400 && seconds > -60) element.textContent = age(seconds);
    element.title = exact.format(time);
  }
}

document.addEventListener("settingchange", () => {
  exact = exactTimes();
  refreshTimes();
});

async function ask(link) {
  const dialog = document.getElementById("dialog");
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok || answer.redirected) {
    location.assign(link.href);
    return;
  }
  dialog.innerHTML = await answer.text();
  dialog.querySelector("[data-close]")?.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = event.target.closest("a[data-dialog]");
  if (!link) return;
  event.preventDefault();
  ask(link);
});
document.getElementById("dialog").addEventListener("click", (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close();
});

// Search and jump is loaded by who first uses it.
const search = document.getElementById("search");
const jump = async () => (await import("./jump.js")).open(document.getElementById("jump"), search.href);
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.key.toLowerCase() !== "k") return;
  event.preventDefault();
  jump();
});
search.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  jump();
});

for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
// One box chooses all bots of a page; the list may be exchanged at any time, so the whole page listens.
const showChooser = () => document.querySelectorAll("[data-choose-all]").forEach((label) => (label.hidden = false));
document.addEventListener("change", (event) => {
  if (!event.target.closest("[data-choose-all]")) return;
  for (const box of event.target.form.querySelectorAll('[name="bot"]')) box.checked = event.target.checked;
});
showChooser();
// Empty fields stay out of the address.
for (const form of document.querySelectorAll('form[method="get"]')) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
}
// A form must not be sent twice by a double click.
document.addEventListener("submit", (event) => {
  if (event.target.method === "post") setTimeout(() => event.submitter && (event.submitter.disabled = true));
});

// A menu is closed by what is done elsewhere, and by Escape; the page that one is on is to be seen in the bar.
const closeMenus = (but) => document.querySelectorAll("details.menu[open]").forEach((menu) => menu.contains(but) || (menu.open = false));
document.addEventListener("click", (event) => closeMenus(event.target));
document.addEventListener("keydown", (event) => event.key === "Escape" && closeMenus(null));
const bar = document.querySelector(".bar-nav");
const here = bar.querySelector("[aria-current]");
if (here) bar.scrollLeft = here.offsetLeft - bar.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;

const themeSwitch = document.getElementById("theme-switch");
themeSwitch.hidden = false;
themeSwitch.addEventListener("click", () => document.dispatchEvent(new CustomEvent("themetoggle")));

// A part that is exchanged keeps its scroll positions.
let scrolled = [];
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  scrolled = [...event.detail.target.querySelectorAll(".scroll-y, .scroll-x")].map((box) => [box.scrollLeft, box.scrollTop]);
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  const part = document.getElementById(event.detail.target.id) ?? event.detail.target;
  part.querySelectorAll(".scroll-y, .scroll-x").forEach((box, index) => box.scrollTo(...(scrolled[index] ?? [0, 0])));
  refreshTimes();
  showChooser();
});

// Where a browser lets it (over https, or on this machine): a page of our own while the site cannot be reached.
// Where it does not, as with a certificate it doubts, the site is what it is without.
addEventListener("load", () => navigator.serviceWorker?.register("/service-worker.js").catch(() => {}));

refreshTimes();
setInterval(refreshTimes, 20_000);
begin();
