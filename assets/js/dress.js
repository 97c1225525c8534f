// @ts-check
/**
 * Theme and language of a page of ours, as its address has them: ?theme=light or dark, ?lang=en or ko; where it has none, the
 * system and the browser choose. It runs before the page is painted, so that no dark page begins white; hence it is no module.
 */
{
  const asked = new URLSearchParams(location.search);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dress = () => document.body.classList.toggle("dark", asked.has("theme") ? asked.get("theme") === "dark" : system.matches);
  system.addEventListener("change", dress);
  addEventListener("beforeprint", () => document.body.classList.remove("dark")); // paper is white
  addEventListener("afterprint", dress);
  dress();
  document.documentElement.dataset.language = asked.get("lang") ?? "";
}
