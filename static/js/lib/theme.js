// Dark or light: the system's choice until the person makes one.

const KEY = "hunter-theme";
const system = window.matchMedia("(prefers-color-scheme: light)");

const chosen = () => localStorage.getItem(KEY) ?? (system.matches ? "light" : "dark");

function apply(store) {
  document.documentElement.dataset.theme = chosen();
  store.set("theme", chosen());
}

/** Follow the system and the button; the store hears the theme, for what is drawn. */
export function followTheme(button, store) {
  apply(store);
  system.addEventListener("change", () => apply(store));
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, chosen() === "light" ? "dark" : "light");
    apply(store);
  });
}
