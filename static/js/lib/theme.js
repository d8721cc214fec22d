// Dark or light: the system's choice until the person makes one.

const KEY = "hunter-theme";
const system = window.matchMedia("(prefers-color-scheme: light)");

const chosen = () => localStorage.getItem(KEY) ?? (system.matches ? "light" : "dark");

/** Wear it, and tell the store. */
export function applyTheme(store) {
  document.documentElement.dataset.theme = chosen();
  store.set("theme", chosen());
}

/** Follow the system and the button; the store hears the theme, for what is drawn. */
export function followTheme(button, store) {
  applyTheme(store);
  system.addEventListener("change", () => applyTheme(store));
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, chosen() === "light" ? "dark" : "light");
    applyTheme(store);
  });
}
