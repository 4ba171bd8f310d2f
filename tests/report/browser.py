"""A page in a real browser, Debian's Chromium: its measures and its console messages."""

import json
import re
import subprocess
from html import unescape

BROWSER = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
MEASURE = """<script>
window.addEventListener("load", () => {
  const sizes = (which) => [...document.querySelectorAll(which)]
    .map((picture) => picture.getBoundingClientRect()).map((box) => [box.width, box.height]);
  parent.postMessage(JSON.stringify({
    width: innerWidth, scroll_width: document.documentElement.scrollWidth,
    pictures: sizes("svg"), charts: sizes("svg.chart"),
  }), "*");
});
</script>"""
FRAME = """<!doctype html><body><pre></pre><script>
addEventListener("message", (m) => {
  document.querySelector("pre").textContent = m.data;
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
    page = path.read_text().replace("</body>", f"{MEASURE}</body>")
    (folder / "page.html").write_text(page)
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
