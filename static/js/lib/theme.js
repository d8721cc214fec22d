// Dark or light theme: the system's until the user chooses one.

const KEY = "hunter-theme";
const system = window.matchMedia("(prefers-color-scheme: light)");

const chosen = () => localStorage.getItem(KEY) ?? (system.matches ? "light" : "dark");

/** Apply the theme and put its name in the store. */
export function applyTheme(store) {
  document.documentElement.dataset.theme = chosen();
  store.set("theme", chosen());
}

/** Apply the theme now, when the system's changes, and when the button is clicked. */
export function followTheme(button, store) {
  applyTheme(store);
  system.addEventListener("change", () => applyTheme(store));
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, chosen() === "light" ? "dark" : "light");
    applyTheme(store);
  });
}
