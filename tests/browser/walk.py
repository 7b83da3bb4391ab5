"""The walk itself, in an environment of its own that has Playwright: every page, both themes, both widths, with axe and without JavaScript.

`python walk.py URL KEY CHROMIUM FOLDER PAGE…` prints a line for each thing that is wrong, and leaves pictures in the folder. A page is a path, or a
name for its pictures and a path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
LEAST = 320
SERIOUS = {"serious", "critical"}
WITH_AXE = {"light-wide", "dark-narrow"}
"""Each theme and each width once: contrast hangs on the one, order and size on the other."""
WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def main(url: str, key: str, chromium: str, folder: Path, pages: list[str]) -> int:
    """Walk, and return 1 if anything is wrong."""
    wrong: list[str] = []
    names = {path: name or _file(path) for name, _, path in (page.rpartition(" ") for page in pages)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                wrong += _walk(context, url, key, names, folder, f"{theme}-{size}")
                context.close()
        wrong += _walk_without_scripts(browser, url, key, list(names))
        browser.close()
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    return 1 if wrong else 0


def _walk(
    context: BrowserContext, url: str, key: str, paths: dict[str, str], folder: Path, name: str
) -> list[str]:
    page, found = context.new_page(), list[str]()
    page.on(
        "console",
        lambda message: (
            found.append(f"{name} {page.url}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    page.on("pageerror", lambda error: found.append(f"{name} {page.url}: {error}"))
    page.goto(f"{url}/ui/login")
    found += [f"{name} /login: {each}" for each in _judge(page, name)]
    page.screenshot(path=folder / f"login-{name}.png")
    _log_in(page, url, key)
    for path in paths:
        page.goto(f"{url}/ui{path}")
        page.wait_for_timeout(150)
        found += [f"{name} {path or '/'}: {each}" for each in _judge(page, name)]
        page.screenshot(path=folder / f"{paths[path]}-{name}.png", full_page=True)
    found += _look_further(context.new_page(), url, paths, folder, name)
    page.goto(f"{url}/ui")
    page.wait_for_timeout(500)
    with page.expect_response(f"{url}/ui"):  # as the page does every few seconds
        page.evaluate("document.querySelector('#live').dispatchEvent(new Event('refresh'))")
    page.wait_for_timeout(500)
    if page.locator("#live").count() != 1 or page.locator(".verdict").count() != 1:
        found.append(f"{name}: the overview does not refresh")
    found += [f"{name} keys: {each}" for each in _try_keys(page, url, name)]
    found += [f"{name} views: {each}" for each in _try_views(page, url)]
    if name.endswith("narrow"):
        page.set_viewport_size({"width": LEAST, "height": 700})
        for path in paths:
            page.goto(f"{url}/ui{path}")
            if (beyond := page.evaluate(WIDTH)) > 0:
                found.append(f"{name} {path or '/'}: {beyond} px wider than {LEAST}")
    return found


def _look_further(page: Page, url: str, paths: dict[str, str], folder: Path, name: str) -> Iterator[str]:
    """Look at what shows only once something is done: pages that refuse, what unfolds, the palette and its help."""
    page.goto(f"{url}/ui/jobs?state=nonsense")
    page.screenshot(path=folder / f"refused-filter-{name}.png")
    page.goto(f"{url}/ui/jobs/0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f")
    yield from (f"not found: {each}" for each in _judge(page, name))
    page.screenshot(path=folder / f"not-found-{name}.png")
    page.goto(f"{url}/ui{next(path for path, each in paths.items() if each == 'retrying')}")
    page.locator("summary", has_text="Traceback").first.click()
    page.locator("summary", has_text="Delete").first.click()
    yield from (f"unfolded: {each}" for each in _judge(page, name))
    page.screenshot(path=folder / f"failed-unfolded-{name}.png", full_page=True)
    for keys, file in (("Control+k", "palette"), ("?", "help")):
        page.goto(f"{url}/ui")
        page.keyboard.press(keys)
        page.wait_for_selector("dialog")
        page.screenshot(path=folder / f"{file}-{name}.png")
    page.close()  # a page behind another is slow to let a dialog go


def _try_keys(page: Page, url: str, name: str) -> Iterator[str]:
    """Go about with keys alone."""
    page.goto(f"{url}/ui")
    page.keyboard.press("Control+k")
    page.keyboard.type("orders.settle")
    page.wait_for_selector("#choices li >> text=kind")
    yield from (f"palette: {each}" for each in _judge(page, name))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/ui/kinds/orders.settle")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url(f"{url}/ui/jobs")
    page.wait_for_selector("button.live")
    page.keyboard.press("j")
    page.keyboard.press("j")
    if page.evaluate("document.activeElement.closest('tr')?.rowIndex") != 2:
        yield "j does not go to the next row"
    page.keyboard.press("/")
    page.keyboard.type("gj?t")
    if page.input_value("[name=q]") != "gj?t" or page.locator("dialog").count():
        yield "keys act while somebody types"
    page.locator("h1").click()
    page.keyboard.press("?")
    yield from (f"help: {each}" for each in _judge(page, name))
    page.get_by_label("Keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    if page.locator("dialog").count():
        yield "keys that are off act"
    page.evaluate("localStorage.clear()")


def _try_views(page: Page, url: str) -> Iterator[str]:
    """Name a view, open it, and forget it."""
    page.goto(f"{url}/ui/jobs?state=failed&kind=hostile.words")
    page.get_by_role("button", name="Keep this view").click()
    page.get_by_label("Name of this view").fill("<img src=x onerror=\"document.title='owned'\">")
    page.keyboard.press("Enter")
    page.goto(f"{url}/ui/jobs")
    page.locator("[data-views] a").click()
    page.wait_for_url(f"{url}/ui/jobs?state=failed&kind=hostile.words")
    if page.title() == "owned":
        yield "a script in a name has run"
    page.locator("[data-views] .view button").click()
    if page.locator("[data-views] a").count():
        yield "a view is not forgotten"


def _walk_without_scripts(browser: Browser, url: str, key: str, paths: list[str]) -> Iterator[str]:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    _log_in(page, url, key)
    for path in paths:
        answer = page.goto(f"{url}/ui{path}")
        if answer is None or answer.status != 200 or not page.locator("h1").count():
            yield f"without scripts {path}: is not there"
    context.close()


def _judge(page: Page, name: str) -> Iterator[str]:
    if page.title() == "owned":
        yield "a script of a job has run"
    if (beyond := page.evaluate(WIDTH)) > 0:
        yield f"{beyond} px wider than the window"
    if len(page.content()) > 60_000:
        yield f"{len(page.content())} characters of HTML"
    if name not in WITH_AXE:
        return
    for each in Axe().run(page).response["violations"]:
        if each["impact"] in SERIOUS:
            nodes = "; ".join(node["html"][:120] for node in each["nodes"][:3])
            yield f"{each['id']}: {each['help']}: {nodes}"


def _log_in(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/ui/login")
    page.fill("#key", key)
    page.click("button.main")
    page.wait_for_url(f"{url}/ui")


def _file(path: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", path)[:48].strip("-") or "overview"


if __name__ == "__main__":
    _, url, key, chromium, folder, *paths = sys.argv
    sys.exit(main(url, key, chromium, Path(folder), paths))
