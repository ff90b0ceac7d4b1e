"""page.py - puts a measurement into docs/benchmarks.md, between the markers of its name.

    page.py DOCS NAME < markdown
"""
import os
import re
import sys


def write(docs, name, text):
    """Replaces what stands between the markers, or appends both where there are none."""
    path = os.path.join(docs, "benchmarks.md")
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    page = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            page = f.read()
    block = f"{begin}\n{text.strip()}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    page = pattern.sub(lambda _: block, page) if pattern.search(page) else f"{page}\n{block}\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], sys.stdin.read())
