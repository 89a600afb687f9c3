// Runs before the body is drawn, so that a dark page never flashes white. "auto" follows the system.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch {
      return "auto"; // storage may be switched off
    }
  };
  const apply = () => {
    const choice = stored();
    const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    if (root.dataset.bsTheme === theme) return;
    root.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("themechange"));
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  // Paper is white.
  addEventListener("beforeprint", () => {
    root.dataset.bsTheme = "light";
    document.dispatchEvent(new CustomEvent("themechange"));
  });
  addEventListener("afterprint", apply);
  document.addEventListener("settingchange", apply);
  document.addEventListener("themetoggle", () => {
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try {
      // Choosing what the system says anyway means to follow it.
      if ((next === "dark") === dark.matches) localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch {
      root.dataset.bsTheme = next;
    }
    apply();
  });
  apply();
})();
