// The admin's form of a periodic job: what the chosen crontab says, in words.

const words = JSON.parse(document.getElementById("readable-crontabs").textContent);
const field = document.querySelector(".field-crontab");
const choice = field?.querySelector("select");
const help = field?.querySelector(".help");

document.querySelectorAll(".field-crontab_translation").forEach((one) => (one.hidden = true));
if (choice && help) {
  const told = help.appendChild(document.createElement("div"));
  choice.addEventListener("change", () => (told.textContent = words[choice.value] ? `In words: ${words[choice.value]}` : ""));
}
