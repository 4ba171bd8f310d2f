"""A page in a real browser, Debian's Chromium: its measures and its console messages."""

import json
import re
import subprocess
from html import unescape

BROWSER = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
           "--allow-file-access-from-files"]  # fmt: skip
# The frame is measured from outside: the content policy of a page refuses scripts of others.
FRAME = """<!doctype html><body><pre></pre><script>
addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentWindow, page = inside.document;
  const list = (which) => [...page.querySelectorAll(which)];
  const size = (picture) => picture.getBoundingClientRect();
  const shown = (which) => list(which).filter((part) => part.checkVisibility());
  const sizes = (which) => shown(which).map(size).map((box) => [box.width, box.height]);
  const pixels = (text) => {
    const scale = text.getScreenCTM();
    return parseFloat(inside.getComputedStyle(text).fontSize) * Math.hypot(scale.a, scale.b);
  };
  const measured = {
    width: inside.innerWidth, height: page.documentElement.scrollHeight,
    scroll_width: page.documentElement.scrollWidth,
    pictures: sizes("svg"), charts: sizes("svg.chart"),
    swiped: shown(".card.scroll").filter((card) => card.scrollWidth > card.clientWidth).length,
    smallest_scale: Math.min(...shown(".scroll svg").map((one) => one.getScreenCTM().a * 3 / 4)),
    smallest_text: Math.min(...list("svg.chart text").map(pixels)),
    buttons: list("button").length, hints: shown(".narrow").length,
    hidden: list("details > :not(summary)").filter((part) => !part.checkVisibility()).length,
  };
  document.querySelector("pre").textContent = JSON.stringify(measured);
});
</script><iframe src="page.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe>
</body>"""


def measure_page(path, width, folder):
    """Return the sizes of a page and its pictures in a window, and the console messages.

    The page is shown in a frame, because a window of Chromium is never narrower than 500 pixels.

    Args:
        path: File of the page.
        width: Width of the window in pixels.
        folder: Folder for temporary files.
    """
    (folder / "page.html").write_text(path.read_text())
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("WIDTH", f"{width}"))
    browser = subprocess.run(
        [*BROWSER, "--enable-logging=stderr", "--window-size=1400,1000", "--dump-dom",
         "--virtual-time-budget=20000", f"--user-data-dir={folder / 'profile'}", frame.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    console = [line for line in browser.stderr.splitlines() if "CONSOLE" in line]
    measured = re.search(r"<pre>(.*?)</pre>", browser.stdout, flags=re.DOTALL).group(1)
    return {**json.loads(unescape(measured)), "console": console}
