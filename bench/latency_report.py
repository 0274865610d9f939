#!/usr/bin/env python3
"""Checks a latency report with tools that are not ours: a browser for its page, HdrHistogram for its histograms.

    thalweg bench latency --rate 1000000 --duration 10s --latency-report report
    python3 -m venv tools && tools/bin/pip install hdrhistogram
    tools/bin/python bench/latency_report.py report --browser chromium --screenshot page.png

The page has to show without an error, with the figures of latency.json in its table and a line in each of its plots. latency.hlog,
read second by second and added up, and latency.hgrm have to give the same percentiles. Ends with 1 and says what differs, if they do not.
"""

import argparse
import html.parser
import json
import pathlib
import subprocess
import sys

FIGURES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9, "p99_99": 99.99, "max": 100.0}


class Page(html.parser.HTMLParser):
    """The table of figures, and the lines of each plot."""

    def __init__(self):
        super().__init__()
        self.rows, self.plots = [], {}
        self.is_table = self.is_name = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "table":
            self.is_table = attributes.get("id") == "figures"
        elif tag == "tr" and self.is_table:
            self.rows.append(["", []])
        elif tag == "td" and self.is_table and "data-ns" in attributes:
            self.rows[-1][1].append(int(attributes["data-ns"]))
        elif tag == "td" and self.is_table:
            self.is_name = not self.rows[-1][1]
        elif tag == "svg":
            self.plots[attributes.get("id")] = []
        elif tag == "path" and self.plots:
            self.plots[list(self.plots)[-1]].append(attributes.get("d", ""))

    def handle_endtag(self, tag):
        if tag == "table":
            self.is_table = False
        self.is_name = False

    def handle_data(self, data):
        if self.is_name:
            self.rows[-1][0] += data


def browse(browser, page, *arguments):
    """What the browser prints with these arguments, and what it complains of."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=1000,2600"]
    done = subprocess.run([*command, *arguments, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def check_page(report, directory, browser, screenshot):
    """What is wrong with the page."""
    page = (directory / "latency.html").resolve()
    dom, wrong = browse(browser, page, "--dump-dom")
    if screenshot:
        browse(browser, page, f"--screenshot={screenshot.resolve()}")
    shown = Page()
    shown.feed(dom)
    rows = {name: figures for name, figures in shown.rows if figures}
    said = {point["point"]: point for point in report["points"]}
    said |= {f"control {control['point']}": control for control in report["control"]}
    for name, figures in said.items():
        expected = [figures[f"{figure}_ns"] for figure in FIGURES]
        if rows.pop(name, None) != expected:
            wrong.append(f"the page does not show {expected} for {name}")
    wrong += [f"the page shows {name}, of which latency.json knows nothing" for name in rows]
    for name, lines in shown.plots.items():
        if not lines or not all(lines) or any("NaN" in line or "Infinity" in line for line in lines):
            wrong.append(f"a line of plot {name} is none")
    print(f"page: {len(said)} rows of figures, {len(shown.plots)} plots, {sum(map(len, shown.plots.values()))} lines")
    return wrong


def check_histograms(report, directory):
    """What the public implementation reads otherwise."""
    from hdrh.histogram import HdrHistogram

    added, intervals, wrong = {}, 0, []
    for line in (directory / "latency.hlog").read_text().splitlines():
        if not line.startswith("Tag="):
            continue
        tag, _, _, _, encoded = line.split(",")
        whole = added.setdefault(tag.removeprefix("Tag="), HdrHistogram(1, 3_600_000_000_000, 3))
        whole.add(HdrHistogram.decode(encoded))
        intervals += 1
    for point in report["points"]:
        histogram = added[point["point"]]
        if histogram.get_total_count() != point["rows"]:
            wrong.append(f"{point['point']}: {histogram.get_total_count()} rows in the log, {point['rows']} in latency.json")
        for name, percent in FIGURES.items():
            read, expected = histogram.get_value_at_percentile(percent), point[f"{name}_ns"]
            if not histogram.values_are_equivalent(read, expected):
                wrong.append(f"{point['point']} {name}: {read} ns in the log, {expected} ns in latency.json")
    headline = next(point for point in report["points"] if point["point"] == report["headline"])
    lines = [line.split() for line in (directory / "latency.hgrm").read_text().splitlines() if line and line.split()[0][0].isdigit()]
    # A table of percentiles has not every one: a figure lies between the two lines around it.
    for name, percent in FIGURES.items():
        below = max((float(line[0]) for line in lines if float(line[1]) * 100 <= percent), default=0.0)
        above = min(float(line[0]) for line in lines if float(line[1]) * 100 >= percent)
        if not below * 0.999 <= headline[f"{name}_ns"] / 1e3 <= above * 1.001:
            wrong.append(f"latency.hgrm: {below} to {above} µs at {name}, {headline[f'{name}_ns']} ns in latency.json")
    print(f"histograms: {intervals} intervals of {len(added)} points, {len(lines)} lines of percentiles")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path, help="what --latency-report has written")
    parser.add_argument("--browser", help="a Chromium to open the page with")
    parser.add_argument("--screenshot", type=pathlib.Path, help="where to put a picture of the page")
    arguments = parser.parse_args()
    report = json.loads((arguments.report / "latency.json").read_text())
    wrong = check_histograms(report, arguments.report)
    if arguments.browser:
        wrong += check_page(report, arguments.report, arguments.browser, arguments.screenshot)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
