// Shows a page of its own while the site cannot be reached. Keeps that page and what it is made of, nothing else.
const NAME = "{{ name }}";
const KEPT = {{ kept|safe }};

addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(KEPT)).then(() => skipWaiting()));
});

async function takeOver() {
  for (const name of await caches.keys()) if (name !== NAME) await caches.delete(name);
  // Pages are asked for while the worker wakes up: it costs no visitor time.
  await registration.navigationPreload?.enable();
  await clients.claim();
}

addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match(KEPT[0])) ?? Response.error();
  }
}

// The part of a page that the site has under this name now, or the kept one while it is away.
async function part(request) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(request)) ?? Response.error();
  }
}

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  if (event.request.mode === "navigate") event.respondWith(page(event));
  else if (KEPT.includes(new URL(event.request.url).pathname)) event.respondWith(part(event.request));
});
