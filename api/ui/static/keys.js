// Keys, the palette and their help. All of it is off while somebody types, and can be switched off.
const base = document.body.dataset.base;
const GO = {
  o: "", j: "/jobs", e: "/errors", k: "/kinds", l: "/lanes", c: "/consumers", s: "/schedules", b: "/bulk", w: "/webhooks", y: "/keys", a: "/audit", m: "/system",
};
const HELP = [
  ["Ctrl K", "palette: pages, kinds, ids, what this page does"], ["/", "search"], ["g, then a letter", "go to a page"], ["j, k", "next, previous row"],
  ["Enter", "open it"], ["]", "older page"], ["[", "back"], ["r", "pause or resume live updates"], ["t", "light, dark, or as the system"], ["?", "this help"],
];
const GO_S = 1.5;
const off = () => localStorage.getItem("keys") === "off";
const pages = () => [...document.querySelectorAll('nav[aria-label="Pages"] a')];
let wentAt = -Infinity;

export function make(tag, text = "", attributes = {}) {
  const made = Object.assign(document.createElement(tag), { textContent: text });
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function open(title, ...content) {
  const dialog = make("dialog", "", { "aria-label": title });
  dialog.append(...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function go(path) {
  pages().find((link) => new URL(link.href).pathname === base + path)?.click();
}

function move(step) {
  const links = [...document.querySelectorAll("main .rows tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
}

function help() {
  const list = make("dl", "", { class: "facts" });
  for (const [key, what] of HELP) list.append(make("dt", key), make("dd", what));
  const letters = Object.entries(GO).filter(([, path]) => pages().some((link) => new URL(link.href).pathname === base + path));
  list.append(make("dt", "g …"), make("dd", letters.map(([letter, path]) => `${letter} ${path.slice(1) || "overview"}`).join(", ")));
  const label = make("label", "Keys are on"), box = make("input", "", { type: "checkbox" }), close = make("button", "Close");
  box.checked = !off();
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
  label.prepend(box);
  const row = make("p", "", { class: "top checks" }), dialog = open("Keys", make("h2", "Keys"), list, row);
  row.append(label, close);
  close.addEventListener("click", () => dialog.close());
}

let kinds = null;

async function findKinds() {
  if (kinds || !pages().some((link) => new URL(link.href).pathname === `${base}/kinds`)) return kinds ?? [];
  try {
    const answer = await fetch(`${base}/kinds`), page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const links = [...page.querySelectorAll("main tbody a")].filter((link) => link.getAttribute("href").startsWith(`${base}/kinds/`));
    kinds = links.map((link) => ({ name: link.textContent, what: "kind", run: () => location.assign(link.getAttribute("href")) }));
  } catch { return []; }
  return kinds;
}

function choices(text) {
  const wanted = text.trim(), found = [];
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(wanted)) found.push({ name: wanted, what: "job", run: () => location.assign(`${base}/jobs/${wanted.toLowerCase()}`) });
  const acts = [...document.querySelectorAll("main .acts > form > button, main .acts > .button, main .top > .button, main .acts summary, main .pager a")];
  const named = [
    ...pages().map((link) => ({ name: link.textContent.trim(), what: "page", run: () => link.click() })),
    ...acts.map((act) => ({ name: act.textContent.trim(), what: "here", run: () => { act.focus(); if (!act.closest("form")) act.click(); } })),
    ...(kinds ?? []),
  ];
  found.push(...named.filter((each) => each.name.toLowerCase().includes(wanted.toLowerCase())));
  if (wanted && pages().some((link) => new URL(link.href).pathname === `${base}/jobs`)) {
    found.push({ name: `Jobs with the tag ${wanted}`, what: "search", run: () => location.assign(`${base}/jobs?${new URLSearchParams({ tag: wanted })}`) });
  }
  return found.slice(0, 12);
}

function palette() {
  const field = make("input", "", { type: "search", role: "combobox", "aria-label": "Go to, or do", "aria-expanded": "true", "aria-controls": "choices", placeholder: "a page, a kind, an id, a tag", spellcheck: "false", autocomplete: "off" });
  const list = make("ul", "", { id: "choices", role: "listbox", "aria-label": "Choices", class: "plain choices" });
  const dialog = open("Palette", field, list);
  let shown = [], at = 0;
  const choose = () => { const chosen = shown[at]; dialog.close(); chosen?.run(); };
  const draw = () => {
    shown = choices(field.value);
    at = Math.min(at, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((each, place) => {
      const item = make("li", each.name, { role: "option", id: `choice-${place}`, "aria-selected": String(place === at) });
      item.append(make("span", each.what, { class: "dim" }));
      item.addEventListener("click", () => { at = place; choose(); });
      return item;
    }));
    field.setAttribute("aria-activedescendant", shown.length ? `choice-${at}` : "");
  };
  field.addEventListener("input", () => { at = 0; draw(); });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); at = (at + step + shown.length) % (shown.length || 1); draw(); }
    if (event.key === "Enter") { event.preventDefault(); choose(); }
  });
  draw();
  findKinds().then(() => { if (dialog.open) draw(); });
}

const ACTS = {
  "/": () => document.querySelector('[data-key="/"]')?.focus(),
  "?": help,
  j: () => move(1),
  k: () => move(-1),
  "]": () => document.querySelector('.pager a[rel="next"]')?.click(),
  "[": () => history.back(),
  r: () => document.querySelector("button.live")?.click(),
  t: () => {
    const themes = [...document.querySelectorAll(".themes button")], now = themes.findIndex((each) => each.getAttribute("aria-pressed") === "true");
    themes[(now + 1) % themes.length]?.click();
  },
  g: () => { wentAt = performance.now(); },
};

document.addEventListener("keydown", (event) => {
  if (off() || document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && document.body.dataset.keyId) {
    event.preventDefault();
    palette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const goes = performance.now() < wentAt + GO_S * 1000;
  wentAt = -Infinity;
  if (goes && event.key in GO) { event.preventDefault(); go(GO[event.key]); return; }
  if (event.key in ACTS) { if (event.key === "/") event.preventDefault(); ACTS[event.key](); }
});

if (document.body.dataset.keyId) {
  const button = make("button", "Shortcuts", { class: "quiet keys", title: "Keys and palette (?)", type: "button" });
  button.addEventListener("click", help);
  document.querySelector(".foot")?.append(button);
}
