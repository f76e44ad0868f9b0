/* Sortable tables: a press on a heading sorts each block by itself; a third press brings back the order of the page. */

const NEXT = { none: "descending", descending: "ascending", ascending: "none" };

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
    // Headings and the rows of real data stay on top: they are what the others are read against.
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
        sortBy(table, heads, column, NEXT[head.getAttribute("aria-sort")]);
      });
    });
  }
}
