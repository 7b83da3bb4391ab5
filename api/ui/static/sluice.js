// Live updates. Pages are whole without it.
import "./keys.js";
import "./views.js";

const EVERY_MS = 5000;
const paused = () => sessionStorage.getItem("paused") === "yes";
const sign = document.createElement("button");

function show(text) {
  if (sign.textContent !== text) sign.textContent = text;
}

function refresh() {
  const live = document.querySelector("#live[hx-get]");
  // What somebody selects, or types into, stays as it is.
  const busy = live?.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, summary");
  const selects = live && !getSelection().isCollapsed && live.contains(getSelection().anchorNode);
  if (live && !document.hidden && !paused() && !busy && !selects && !live.querySelector("details[open]")) {
    live.dispatchEvent(new Event("refresh"));
  }
}

function pause() {
  sessionStorage.setItem("paused", paused() ? "no" : "yes");
  show(paused() ? "paused (r)" : "live (r)");
  sign.setAttribute("aria-pressed", String(paused()));
}

if (document.querySelector("#live[hx-get]")) {
  sign.className = "live";
  sign.type = "button";
  sign.title = "Pause or resume live updates";
  sign.addEventListener("click", pause);
  show(paused() ? "paused (r)" : "live (r)");
  document.querySelector("main > .head, main > h1").before(sign);
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("htmx:error", () => {
    sign.classList.add("stale"); // and is seen wherever somebody has scrolled to
    show(`stale since ${new Date().toLocaleTimeString()}`);
  });
  document.addEventListener("htmx:after:swap", () => {
    sign.classList.remove("stale");
    if (!document.querySelector("#live[hx-get]")) sign.remove(); // what has ended changes no more
    show(paused() ? "paused (r)" : "live (r)");
  });
}
