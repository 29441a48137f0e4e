
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("js");

  // Theme: the system's, until the reader chooses; a browser that keeps nothing for files just forgets the choice.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  try {
    const kept = localStorage.getItem("boltbench-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch {}
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("boltbench-theme", root.dataset.theme); } catch {}
    name();
  });
  system.addEventListener("change", name);
  theme.disabled = false;
  name();

  // Rows open and close; without this script all are open.
  const setOpen = (button, open) => {
    button.setAttribute("aria-expanded", String(open));
    document.getElementById(button.getAttribute("aria-controls")).classList.toggle("open", open);
  };
  for (const button of all(".expand")) {
    setOpen(button, false);
    button.addEventListener("click", () => setOpen(button, button.getAttribute("aria-expanded") !== "true"));
  }

  // Sorting: a configuration is one tbody, so that its runs move along. Rows without a value come last either way.
  const sortBy = (button) => {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = head.cellIndex;
    const before = head.getAttribute("aria-sort");
    const first = "descends" in button.dataset ? "descending" : "ascending";
    const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
    for (const other of all("th[aria-sort]", head.parentElement)) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const words = "words" in button.dataset;
    const rows = [...table.tBodies].map((body) => [body.rows[0].cells[column].dataset.value, body]);
    const compare = words ? new Intl.Collator("en", { numeric: true }).compare : (a, b) => a - b;
    rows.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b)));
    table.append(...rows.map(([, body]) => body));
  };
  for (const button of all(".sort")) button.addEventListener("click", () => sortBy(button));

  // Filter: every word must occur in a row or in its runs. A task where nothing is left steps aside.
  const filter = document.getElementById("filter");
  const matches = document.getElementById("matches");
  const rows = all("tbody.config, tbody.failure");
  const texts = new Map();
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      if (!texts.has(row)) {
        const task = row.closest("section").querySelector("h2").textContent;
        texts.set(row, `${task} ${row.textContent}`.toLowerCase());
      }
      const hit = words.every((word) => texts.get(row).includes(word));
      row.hidden = !hit;
      shown += hit && row.classList.contains("config");
    }
    for (const task of all("section.task")) {
      task.hidden = words.length > 0 && !task.querySelector("tbody:not([hidden]).config, tbody:not([hidden]).failure");
    }
    matches.textContent = words.length ? `${shown} ${shown === 1 ? "configuration matches" : "configurations match"}` : "";
  };
  let waiting = 0;
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  filter.disabled = false;
  if (filter.value) apply();
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement === filter) {
      filter.value = "";
      apply();
      filter.blur();
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      filter.focus();
    }
  });

  // Copying: where the browser gives a file no clipboard, the old way still works.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    await copy(button.previousElementSibling.textContent);
    button.focus();
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  // A configuration lights up in the table and in every figure of its task.
  const light = (event) => {
    const mark = event.target.closest?.("[data-key]");
    const task = event.target.closest?.("section.task");
    for (const lit of all(".dim")) lit.classList.remove("dim");
    for (const lit of all(".lit")) lit.classList.remove("lit");
    if (!mark || !task) return;
    const same = all(`[data-key="${CSS.escape(mark.dataset.key)}"]`, task);
    if (!same.some((item) => item.closest(".figure"))) return;
    for (const item of same) item.classList.add("lit");
    for (const svg of all(".chart", task)) svg.classList.add("dim");
  };
  document.addEventListener("pointerover", light);
  document.addEventListener("focusin", light);

  // The contents say where the reader is.
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const current = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-64px 0px -55% 0px" });
  for (const section of all("main > section[id]")) watcher.observe(section);
})();
