"use strict";
// Tables sort by a click on a column's head; without script they stand in the order that was printed.
// A row's detail travels with it: each body of a listing is one row and its detail.
(() => {
  const value = (cell) => cell.dataset.sort ?? cell.textContent.trim();
  const whole = /^-?\d+$/;
  const compare = (a, b) => {
    if (whole.test(a) && whole.test(b)) { const x = BigInt(a), y = BigInt(b); return x < y ? -1 : x > y ? 1 : 0; }
    return a.localeCompare(b);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      head.setAttribute("aria-sort", "none");
      head.tabIndex = 0;
      const sort = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const listing = table.classList.contains("listing");
        const units = listing ? [...table.tBodies] : [...table.tBodies[0].rows];
        const cell = (unit) => (listing ? unit.rows[0] : unit).cells[column];
        units.sort((a, b) => compare(value(cell(a)), value(cell(b))) * (down ? -1 : 1));
        const parent = listing ? table : table.tBodies[0];
        units.forEach((unit) => parent.append(unit));
        if (listing && table.tFoot) table.append(table.tFoot);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }
  // Printed pages show every way; the screen shows the one that a link leads to.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  const reveal = () => document.getElementById(location.hash.slice(1))?.querySelector("details")?.setAttribute("open", "");
  addEventListener("hashchange", reveal);
  if (location.hash.startsWith("#b-")) reveal();
})();
