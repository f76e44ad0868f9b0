/* Tables: sortable by their headings, scrollable with a cue, folded on a narrow screen. */

const OPPOSITE = { ascending: "descending", descending: "ascending" };

/** What a press on a heading asks for: its first order, then the opposite one, then the order of the page. */
export function next(direction, first) {
  if (direction === "none") return first;
  return direction === first ? OPPOSITE[first] : "none";
}

/** Rows in the order of a column: numbers by value, words by alphabet, empty cells last; equal rows keep their order. */
export function ordered(rows, key, direction) {
  if (direction === "none") return [...rows];
  const sign = direction === "ascending" ? 1 : -1;
  return rows
    .map((row, index) => ({ row, index, value: key(row) }))
    .sort((one, other) => {
      const empty = (one.value === "") - (other.value === "");
      const [a, b] = [Number(one.value), Number(other.value)];
      const apart = Number.isNaN(a) || Number.isNaN(b) ? String(one.value).localeCompare(String(other.value)) : a - b;
      return empty || sign * apart || one.index - other.index;
    })
    .map(({ row }) => row);
}

function sortBy(table, heads, column, direction) {
  heads.forEach((head, index) => head.setAttribute("aria-sort", index === column ? direction : "none"));
  const key = (row) => {
    const { dataset, textContent } = row.cells[column];
    const text = textContent.trim();
    return dataset.value ?? (text === "—" ? "" : text);
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows];
    rows.forEach((row, index) => { row.dataset.place ??= index; });
    rows.sort((one, other) => one.dataset.place - other.dataset.place);
    // Headings, ground truth and chance stay on top: they are what the others are read against.
    const fixed = rows.filter((row) => row.matches(".heading, .real, .chance"));
    const free = rows.filter((row) => !fixed.includes(row));
    body.append(...fixed, ...ordered(free, key, direction));
  }
}

/** Make every table with `data-sortable` sortable. */
export function mountTables(root) {
  for (const table of root.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, column) => {
      head.setAttribute("aria-sort", "none");
      head.querySelector("button.sort").addEventListener("click", () => {
        sortBy(table, heads, column, next(head.getAttribute("aria-sort"), head.dataset.first ?? "ascending"));
      });
    });
  }
}

/** Mark what can be scrolled sideways: `more-left`, `more-right`. */
export function mountScrolls(root) {
  const look = (box) => {
    const rest = box.scrollWidth - box.clientWidth - Math.abs(box.scrollLeft);
    box.classList.toggle("more-right", rest > 1);
    box.classList.toggle("more-left", box.scrollLeft > 1);
  };
  const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target)));
  for (const box of root.querySelectorAll(".scroll")) {
    observer.observe(box);
    box.addEventListener("scroll", () => look(box), { passive: true });
  }
}

/** Close what is long on a narrow screen; an address with a fragment opens what it leads to. */
export function mountFolds(root) {
  const folds = [...root.querySelectorAll("details.fold")];
  const narrow = matchMedia("(max-width: 760px)").matches;
  if (narrow) folds.forEach((fold) => { fold.open = false; });
  // Rows of a table cannot stand in a `details`, so a block's heading opens and closes it.
  for (const button of root.querySelectorAll("button.fold")) {
    const fold = (open) => button.setAttribute("aria-expanded", open);
    button.addEventListener("click", () => fold(button.getAttribute("aria-expanded") !== "true"));
    fold(!narrow);
  }
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (const fold of target.querySelectorAll(":scope > details.fold")) fold.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
}
