/* From a cell to its run: a dialog that shows a number's record, and from there the records of what it was made from. */

const NAMES = {
  dataset: "Dataset", skeleton: "Skeleton", protocol: "Protocol", block: "Block", method: "Method", metric: "Metric", note: "Note",
  mean: "Full precision", interval: "Interval", repeats: "Repeats", seeds: "Training seeds", seed_std: "Standard deviation between seeds",
  quartile1: "Lower quartile", quartile3: "Upper quartile", origin: "Data", tower: "Text tower", evaluator: "Evaluator weights",
};

function node(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function list(pairs) {
  const found = node("dl");
  for (const [name, value] of pairs) {
    if (value === undefined || value === null || value === "") continue;
    found.append(node("dt", name), node("dd", typeof value === "object" ? JSON.stringify(value) : String(value)));
  }
  return found;
}

/** Answer presses on cells, figures and runs inside `root` with the dialog. */
export function mountProvenance(root, dialog, data) {
  const trail = [];

  function link(path) {
    const record = data.made[path];
    if (!record) return node("span", path);
    const button = node("button", path, { type: "button", class: "link" });
    button.addEventListener("click", () => go(() => ofRecord(record, path)));
    return button;
  }

  function fileList(files) {
    const found = node("ul");
    for (const [path, digest] of Object.entries(files)) {
      const item = node("li");
      item.append(link(path));
      if (digest) item.append(document.createElement("br"), node("code", digest));
      found.append(item);
    }
    return found;
  }

  function ofRecord(path, file) {
    const record = data.records[path];
    const code = record.code.revision
      ? `${record.code.revision}${record.code.dirty ? ", with changes that were not committed" : ""}` : "no checkout";
    const { origin, tower, ...notes } = record.notes;
    const parts = [
      node("pre", record.command),
      list([
        ["Code", code], ["Data", origin], ["Text tower", tower], ["Started", record.started],
        ["Wall time", `${record.wall_seconds} s`], ["Memory", `${record.peak_memory_mib} MiB`], ["Device", record.device],
        ["Threads", record.threads], ["Record", path],
      ]),
    ];
    for (const [title, files] of [["Made from", record.inputs], ["Made", record.outputs]]) {
      if (Object.keys(files).length) parts.push(node("h3", title), fileList(files));
    }
    for (const [title, value] of [["Seeds", record.seeds], ["Notes", notes], ["Settings", record.config], ["Versions", record.versions]]) {
      if (!Object.keys(value).length) continue;
      const fold = node("details");
      fold.append(node("summary", title), node("pre", JSON.stringify(value, null, 1)));
      parts.push(fold);
    }
    return [file ?? record.command, parts];
  }

  function ofCell(number) {
    const { title, text, details, sources } = data.cells[number];
    const parts = [node("p", text, { class: "big" }), list(Object.entries(details).map(([name, value]) => [NAMES[name] ?? name, value]))];
    if (sources.length) {
      parts.push(node("h3", sources.some((path) => data.made[path]) ? "Where it comes from" : "Transcribed from"));
      parts.push(fileList(Object.fromEntries(sources.map((path) => [path, data.records[data.made[path]]?.outputs[path]]))));
    }
    if (sources.length === 1 && data.made[sources[0]]) parts.push(...ofRecord(data.made[sources[0]])[1]);
    return [title, parts];
  }

  function go(page) {
    trail.push(page);
    const [title, parts] = page();
    const head = node("header"), inside = node("div", "", { class: "inside" });
    const close = node("button", "×", { type: "button", class: "close", "aria-label": "Close" });
    close.addEventListener("click", () => dialog.close());
    head.append(node("h2", title, { id: "details-title" }));
    if (trail.length > 1) {
      const back = node("button", "Back", { type: "button", class: "plain" });
      back.addEventListener("click", () => {
        trail.pop();
        go(trail.pop());
      });
      head.append(back);
    }
    head.append(close);
    inside.append(...parts);
    dialog.replaceChildren(head, inside);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    close.focus();
  }

  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-cell], [data-record], [data-file]");
    if (!pressed) return;
    const { cell, record, file } = pressed.dataset;
    trail.length = 0;
    if (cell) go(() => ofCell(Number(cell)));
    else go(() => ofRecord(record ?? data.made[file], file));
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // a press beside it
  });
}
