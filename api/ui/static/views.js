// Views of the list of jobs that somebody has named: addresses, kept in this browser for each key.
import { make, open } from "./keys.js";

const MOST = 20, LONGEST = 40;
const place = document.querySelector("[data-views]");
const name = `views ${document.body.dataset.keyId}`;

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(name)) ?? [];
    return kept.filter((each) => typeof each?.name === "string" && typeof each.query === "string" && (each.query === "" || each.query[0] === "?"));
  } catch { return []; }
}

function write(views) {
  localStorage.setItem(name, JSON.stringify(views.slice(-MOST)));
  draw();
}

function here() {
  const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([key, value]) => value && !["page", "done", "after"].includes(key)));
  return query.size ? `?${query}` : "";
}

function ask() {
  const form = make("form", "", { method: "dialog", class: "stack" }), field = make("input", "", { id: "view-name", required: "", maxlength: LONGEST, autocomplete: "off" });
  form.append(make("label", "Name of this view", { for: "view-name" }), field, make("button", "Keep", { class: "main" }));
  const dialog = open("Keep this view", form);
  form.addEventListener("submit", () => {
    const called = field.value.trim();
    if (called) write([...read().filter((each) => each.name !== called), { name: called, query: here() }]);
    dialog.close();
  });
}

function draw() {
  const views = read(), keep = make("button", "Keep this view", { type: "button", class: "quiet" });
  keep.addEventListener("click", ask);
  place.replaceChildren(...views.map((each) => {
    const item = make("span", "", { class: "view" }), drop = make("button", "×", { type: "button", class: "quiet", "aria-label": `Forget the view ${each.name}` });
    const link = make("a", each.name, { href: location.pathname + each.query });
    if (each.query === here()) link.setAttribute("aria-current", "true");
    drop.addEventListener("click", () => write(read().filter((other) => other.name !== each.name)));
    item.append(link, drop);
    return item;
  }), ...(here() ? [keep] : []));
}

if (place) draw();
