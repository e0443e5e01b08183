"""The page in Debian's chromium over a plan of which much is held: its first picture, and each step
that a person takes on it.

A time begins with the click, or with the navigation, and ends when the browser has drawn what was
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from playwright.sync_api import Browser

from bench.samples import Samples
from bench.servers import Server
from tests.support.browser import served_page

FIRST_PICTURE = "first picture"
# The heading of a place says that it is shown. What is told from the frame after that comes when it
# has been drawn.
_UNTIL_SHOWN = """
const shown = (heading) => new Promise((done) => {
  const drawn = new MessageChannel();
  drawn.port1.onmessage = () => done(performance.now());
  const look = () => {
    if (!document.querySelector("h1")?.textContent.startsWith(heading)) return;
    changes.disconnect();
    requestAnimationFrame(() => drawn.port2.postMessage(""));
  };
  const changes = new MutationObserver(look);
  changes.observe(document, { childList: true, characterData: true, subtree: true });
  look();
});
"""
_FIRST = f"(async () => {{ {_UNTIL_SHOWN} return await shown('The whole plan'); }})()"
_STEP = f"""async ([place, heading]) => {{
  {_UNTIL_SHOWN}
  const begun = performance.now();
  location.hash = place;
  return await shown(heading) - begun;
}}"""


def measure(
    browser: Browser, server: Server, steps: Mapping[str, tuple[str, str]], rounds: int
) -> dict[str, Samples]:
    """The seconds of the first picture and of each step (the place it leads to, and the heading
    there, by its name), once in each round, in a browser that knows nothing of the page yet."""
    found = {name: Samples() for name in (FIRST_PICTURE, *steps)}
    with served_page(server.socket) as link:
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.goto(link, wait_until="commit")
            found[FIRST_PICTURE].add(page.evaluate(_FIRST) / 1e3)
            for name, (place, heading) in steps.items():
                found[name].add(page.evaluate(_STEP, [f"#/{place}", heading]) / 1e3)
            context.close()
    return found
