// What is kept in the browser: colours, and the zone that exact times are in. "" follows the system.

const zones = document.getElementById("zone-choice");
for (const zone of Intl.supportedValuesOf?.("timeZone") ?? []) {
  if (zone !== "UTC") zones.add(new Option(zone.replaceAll("_", " "), zone));
}

for (const select of document.querySelectorAll("[data-setting]")) {
  const name = select.dataset.setting;
  try {
    select.value = localStorage.getItem(name) ?? "";
    select.disabled = false;
  } catch {
    continue; // storage may be switched off: nothing can be kept
  }
  select.addEventListener("change", () => {
    if (select.value) localStorage.setItem(name, select.value);
    else localStorage.removeItem(name);
    document.dispatchEvent(new CustomEvent("settingchange", { detail: name }));
  });
}
