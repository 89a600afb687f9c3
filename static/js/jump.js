// Search and jump: a few letters, then Enter for the first that is found, or the arrow keys for another.

const TYPED = 120; // ms without a key until what was typed is looked for

let latest = 0;
let waiting = 0;

async function ask(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok || answer.redirected) location.assign(address); // logged out, or out of order: the page says it
  return answer.text();
}

async function find(dialog, form) {
  const number = ++latest;
  const html = await ask(`${form.action}?${new URLSearchParams(new FormData(form))}`);
  if (number !== latest) return; // more was typed meanwhile
  const found = new DOMParser().parseFromString(html, "text/html").getElementById("found");
  if (found) dialog.querySelector("#found").replaceWith(found);
}

// Down and up go from the field through what is found, and back.
function move(dialog, step) {
  const stops = [dialog.querySelector("input"), ...dialog.querySelectorAll("#found a")];
  const at = Math.max(stops.indexOf(document.activeElement), 0);
  stops[(at + step + stops.length) % stops.length].focus();
}

function begin(dialog) {
  dialog.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(find, TYPED, dialog, event.target.form);
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(dialog, step);
  });
  dialog.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    await find(dialog, event.target);
    dialog.querySelector("#found a")?.click();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

export async function open(dialog, address) {
  if (dialog.open) return;
  if (dialog.childElementCount) {
    find(dialog, dialog.querySelector("form")); // what was found last time may have changed
  } else {
    dialog.innerHTML = await ask(address);
    begin(dialog);
  }
  dialog.showModal();
  dialog.querySelector("input").select();
}
