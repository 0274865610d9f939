"use strict";
const reports = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const COLOURS = ["#2b6cb0", "#c05621", "#2f855a", "#97266d", "#6b46c1", "#b7791f", "#319795", "#718096"];
const FIGURES = ["p50", "p90", "p99", "p99_9", "p99_99", "max"];

function time(nanos) {
  const [value, unit] = nanos < 1e3 ? [nanos, "ns"] : nanos < 1e6 ? [nanos / 1e3, "µs"] : nanos < 1e9 ? [nanos / 1e6, "ms"] : [nanos / 1e9, "s"];
  return (unit === "ns" ? value : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)) + " " + unit;
}
function node(name, attributes, text, parent) {
  const isHtml = ["h2", "table", "thead", "tbody", "tr", "th", "td", "p", "dl", "dt", "dd"].includes(name);
  const made = isHtml ? document.createElement(name) : document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  (parent || page).appendChild(made);
  return made;
}
function table(heads, rows, id) {
  const made = node("table", { id });
  const head = node("tr", {}, undefined, node("thead", {}, undefined, made));
  heads.forEach(text => node("th", {}, text, head));
  const body = node("tbody", {}, undefined, made);
  for (const cells of rows) {
    const row = node("tr", {}, undefined, body);
    cells.forEach(cell => Array.isArray(cell) ? node("td", { "data-ns": cell[0] }, cell[1], row) : node("td", {}, cell, row));
  }
}
/* Lines of [x, y] in the units of the axes; an axis is { at, label } ticks and a function to 0..1. */
function plot(lines, x, y, id) {
  const [W, H, L, T, B] = [880, 320, 70, 14, 42 + 18 * Math.ceil(lines.length / 4)];
  const svg = node("svg", { viewBox: `0 0 ${W} ${H + 18 * Math.ceil(lines.length / 4)}`, role: "img", id });
  const bottom = H - 28, right = W - 14;
  const px = value => L + x.to(value) * (right - L), py = value => bottom - y.to(value) * (bottom - T);
  for (const { at, label } of x.ticks) {
    node("line", { x1: px(at), x2: px(at), y1: T, y2: bottom, class: "grid" }, undefined, svg);
    node("text", { x: px(at), y: bottom + 16, "text-anchor": "middle" }, label, svg);
  }
  for (const { at, label } of y.ticks) {
    node("line", { x1: L, x2: right, y1: py(at), y2: py(at), class: "grid" }, undefined, svg);
    node("text", { x: L - 6, y: py(at) + 4, "text-anchor": "end" }, label, svg);
  }
  lines.forEach(({ name, points, isDashed }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const d = points.map(([a, b], i) => (i ? "L" : "M") + px(a).toFixed(1) + " " + py(b).toFixed(1)).join("");
    const style = { d, fill: "none", stroke: colour, "stroke-width": 2 };
    if (isDashed) style["stroke-dasharray"] = "5 4";
    node("path", style, undefined, svg);
    const [kx, ky] = [L + (index % 4) * 200, H + 4 + 18 * Math.floor(index / 4)];
    node("rect", { x: kx, y: ky - 4, width: 14, height: 4, fill: colour }, undefined, svg);
    node("text", { x: kx + 20, y: ky + 2 }, name, svg);
  });
}
function logAxis(values) {
  const positive = values.filter(value => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1e9))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 1))));
  const ticks = [];
  for (let power = low; power <= high; power++) ticks.push({ at: 10 ** power, label: time(10 ** power) });
  return { ticks, to: value => Math.max(0, (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) };
}
function linearAxis(values, label) {
  const high = Math.max(...values, 1e-9), step = 10 ** Math.floor(Math.log10(high)), ticks = [];
  const unit = high / step < 2 ? step / 5 : high / step < 5 ? step / 2 : step;
  for (let at = 0; at <= high * 1.001; at += unit) ticks.push({ at, label: label(at) });
  return { ticks, to: value => value / high };
}
const NINES = 5;
const percentAxis = {
  ticks: [0, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(at => ({ at, label: +(at * 100).toFixed(5) + " %" })),
  to: share => Math.min(1, -Math.log10(Math.max(1 - share, 10 ** -NINES)) / NINES),
};
const count = value => value >= 1e6 ? +(value / 1e6).toPrecision(3) + " M" : value >= 1e3 ? +(value / 1e3).toPrecision(3) + " K" : String(+value.toPrecision(3));
const several = reports.length > 1;
const titled = (report, index) => several ? `${index + 1} ${report.title}` : report.title;

function percentiles(lines, id) {
  if (!lines.length) return;
  plot(lines, percentAxis, logAxis(lines.flatMap(line => line.points.map(point => point[1]))), id);
}
const upTo = curve => curve.filter(([share]) => share <= 0.99999 || share === 1);
const headlineOf = report => report.points.find(point => point.point === report.headline);

node("h2", {}, "Percentiles");
table(["", ...FIGURES.map(name => name.replace("_", ".")), "rows"], reports.flatMap((report, index) => {
  const rows = several ? [headlineOf(report)].filter(Boolean) : report.points;
  const named = point => several ? `${titled(report, index)}, ${point.point}` : point.point;
  const row = (point, name) => [name, ...FIGURES.map(figure => [point[figure + "_ns"], time(point[figure + "_ns"])]), point.rows.toLocaleString("en")];
  return [...rows.map(point => row(point, named(point))), ...report.control.map(control => row(control, `${several ? index + 1 + " " : ""}control ${control.point}`))];
}), "figures");
percentiles(reports.flatMap((report, index) => [
  ...[headlineOf(report)].filter(Boolean).map(point => ({ name: several ? titled(report, index) : point.point, points: upTo(point.curve) })),
  ...report.control.map(control => ({ name: `${several ? index + 1 + " " : ""}control ${control.point}`, points: upTo(control.curve), isDashed: true })),
]), "curve");

for (const [index, report] of reports.entries()) {
  if (several) node("h2", {}, titled(report, index));
  if (!several) {
    node("h2", {}, "By point of a row's way");
    percentiles(report.points.map(point => ({ name: point.point, points: upTo(point.curve) })), "points");
  }
  const seconds = report.seconds.filter(second => second[4] > 0);
  if (seconds.length > 1) {
    const x = linearAxis(seconds.map(second => second[0]), at => `${+at.toFixed(1)} s`);
    const bands = FIGURES.map((name, figure) => ({ name: name.replace("_", "."), points: seconds.map(second => [second[0], second[5 + figure]]) }));
    node("h2", {}, `Latency to ${report.headline} over time`);
    plot(bands, x, logAxis(bands.flatMap(band => band.points.map(point => point[1]))), "time");
    let last = 0;
    const rates = report.seconds.map(second => { const length = Math.max(second[0] - last, 1e-3); last = second[0]; return [second, length]; }).filter(([, length]) => length > 0.5);
    const rate = [1, 2].map((at, i) => ({ name: ["rows read a second", "rows written a second"][i], points: rates.map(([second, length]) => [second[0], second[at] / length]) }));
    node("h2", {}, "Throughput");
    plot(rate, x, linearAxis(rate.flatMap(line => line.points.map(point => point[1])), count), "throughput");
    const lags = seconds.filter(second => second[3] !== null).map(second => [second[0], Math.max(second[3], 0)]);
    if (lags.length > 1) {
      node("h2", {}, "Watermark behind the clock");
      plot([{ name: "watermark lag", points: lags }], x, linearAxis(lags.map(lag => lag[1]), at => `${count(at)} ms`), "lag");
    }
  }
  node("h2", {}, "Conditions");
  const list = node("dl", {});
  for (const [name, value] of [...Object.entries(report.conditions), ["elapsed", time(report.elapsed_us * 1e3)], ["rows", report.rows.toLocaleString("en")]]) {
    node("dt", {}, name, list);
    node("dd", {}, value, list);
  }
}
