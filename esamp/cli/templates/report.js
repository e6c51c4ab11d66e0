"use strict";
// The browser of samples. It reads the page's own data, writes text nodes only, and keeps its state in the address.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.columns;
  const total = rows.arm.length;
  const PAGE = 25;
  const DEFAULTS = { arm: "", task: "", problem: "", verdict: "", finish: "", sort: "run", q: "", page: "1", colour: "1" };
  const VERDICTS = { right: 1, wrong: 0, unchecked: -1 };
  const byId = (id) => document.getElementById(id);
  const fields = ["arm", "task", "problem", "verdict", "finish", "sort", "q"].map(byId);
  const lower = rows.text.map((text) => text.toLowerCase());
  const coloured = Boolean(rows.pieces);
  let state = { ...DEFAULTS };
  let found = [];

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const fill = (select, choices) => {
    while (select.options.length > 1) select.remove(1);
    for (const [value, label] of choices) select.add(new Option(label, value));
  };
  const short = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
  const number = (value, digits) => (value === null || value === undefined ? "–" : Number(value).toFixed(digits));

  function offerProblems() {
    const choices = [];
    data.problems.forEach(([task, id, prompt], at) => {
      if (!state.task || task === state.task) choices.push([String(at), short(id + ": " + prompt.replace(/\s+/g, " "), 70)]);
    });
    fill(byId("problem"), choices);
    if (!choices.some(([value]) => value === state.problem)) state.problem = "";
  }

  function filter() {
    const arm = state.arm === "" ? -1 : data.arms.indexOf(state.arm);
    const verdict = state.verdict in VERDICTS ? VERDICTS[state.verdict] : null;
    const wanted = state.q.trim().toLowerCase();
    found = [];
    for (let row = 0; row < total; row++) {
      if (state.arm !== "" && rows.arm[row] !== arm) continue;
      if (state.task !== "" && data.problems[rows.problem[row]][0] !== state.task) continue;
      if (state.problem !== "" && rows.problem[row] !== Number(state.problem)) continue;
      if (verdict !== null && rows.verdict[row] !== verdict) continue;
      if (state.finish !== "" && rows.finish[row] !== state.finish) continue;
      if (wanted && !lower[row].includes(wanted)) continue;
      found.push(row);
    }
    sort();
  }

  function sort() {
    const [key, direction] = state.sort.split("-");
    const sign = direction === "down" ? -1 : 1;
    if (key === "together") {
      const place = (row) => [rows.problem[row], rows.seed[row], rows.index[row], rows.arm[row]];
      found.sort((a, b) => {
        const x = place(a), y = place(b);
        for (let at = 0; at < 4; at++) if (x[at] !== y[at]) return x[at] - y[at];
        return 0;
      });
    } else if (rows[key]) {
      // Samples without the number come last, whichever way the rest is sorted.
      const values = rows[key];
      found.sort((a, b) => {
        if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null);
        return sign * (values[a] - values[b]);
      });
    }
  }

  function textOf(row) {
    const paragraph = make("p", "text");
    const pieces = coloured && state.colour === "1" ? rows.pieces[row] : null;
    if (!pieces) {
      paragraph.textContent = rows.text[row];
    } else {
      let at = 0;
      pieces.forEach((size, token) => {
        if (!size) return;
        const level = rows.levels[row][token];
        const span = make("span", level === "-" ? "" : "n" + level, rows.text[row].slice(at, at + size));
        span.title = numbersOf(row, token);
        paragraph.append(span);
        at += size;
      });
    }
    if (rows.finish[row] === "length") {
      const cut = make("span", "cut", " …");
      cut.title = "cut at the token limit";
      paragraph.append(cut);
    }
    return paragraph;
  }

  function numbersOf(row, token) {
    const [novelty, kl, logProb] = rows.numbers[row].map((values) => values[token]);
    return `novelty ${number(novelty, 1)} · KL ${number(kl, 2)} · log p of the model ${number(logProb, 2)}`;
  }

  function verdictOf(row) {
    const [name, sign, word] = { 1: ["right", "✓", "right"], 0: ["wrong", "✗", "wrong"], [-1]: ["", "", ""] }[rows.verdict[row]];
    if (!name) return null;
    const said = rows.answer[row] ?? rows.detail[row];
    return make("span", "verdict " + name, `${sign} ${word}${said ? ": " + short(said, 60) : ""}`);
  }

  function more(row) {
    const details = make("details");
    details.append(make("summary", "", coloured && rows.pieces[row] ? "prompt and tokens" : "prompt"));
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      details.append(make("pre", "prompt", data.problems[rows.problem[row]][2]));
      if (rows.detail[row]) details.append(make("p", "note", "Verifier: " + rows.detail[row]));
      if (coloured && rows.pieces[row]) details.append(tokenTable(row));
    });
    return details;
  }

  function tokenTable(row) {
    const table = make("table", "tokens");
    const head = table.createTHead().insertRow();
    for (const name of ["token", "novelty", "KL, nats", "log p of the model"]) {
      const cell = make("th", "", name);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    let at = 0;
    rows.pieces[row].forEach((size, token) => {
      const line = body.insertRow();
      const level = rows.levels[row][token];
      const name = make("th", "piece");
      name.scope = "row";
      name.append(make("span", level === "-" ? "" : "n" + level, size ? JSON.stringify(rows.text[row].slice(at, at + size)).slice(1, -1) : "∅"));
      line.append(name);
      const [novelty, kl, logProb] = rows.numbers[row].map((values) => values[token]);
      for (const [value, digits] of [[novelty, 1], [kl, 2], [logProb, 2]]) line.append(make("td", "", number(value, digits)));
      at += size;
    });
    const frame = make("div", "scroll");
    frame.tabIndex = 0;
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", "Numbers of each token");
    frame.append(table);
    return frame;
  }

  function sampleOf(row) {
    const item = make("li", "sample");
    const about = make("div", "about");
    const [task, id] = data.problems[rows.problem[row]];
    about.append(make("span", "arm a" + rows.arm[row], data.arms[rows.arm[row]]));
    about.append(make("span", "", `${task} · ${id}`));
    about.append(make("span", "", `seed ${rows.seed[row]}, sample ${rows.index[row]}`));
    const verdict = verdictOf(row);
    if (verdict) about.append(verdict);
    const novelty = rows.novelty[row] === null ? "" : ` · novelty ${number(rows.novelty[row], 1)}`;
    about.append(make("span", "", `${rows.length[row]} tokens · perplexity ${number(rows.perplexity[row], 2)}${novelty}`));
    item.append(about, textOf(row), more(row));
    return item;
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = Math.min(Math.max(1, Number.parseInt(state.page, 10) || 1), pages);
    state.page = String(page);
    const first = (page - 1) * PAGE;
    const shown = found.slice(first, first + PAGE);
    byId("list").replaceChildren(...shown.map(sampleOf));
    byId("count").textContent = found.length
      ? `${found.length} of ${total} samples; ${first + 1} to ${first + shown.length} shown`
      : `No sample of ${total} fits; loosen a filter`;
    byId("place").textContent = `page ${page} of ${pages}`;
    byId("previous").disabled = page === 1;
    byId("next").disabled = page === pages;
  }

  function draw() {
    filter();
    show();
  }

  function remember() {
    const kept = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (value !== DEFAULTS[key]) kept.set(key, value);
    history.replaceState(null, "", "#" + (kept.toString() || "samples"));
  }

  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    state = { ...DEFAULTS };
    for (const key of Object.keys(DEFAULTS)) if (asked.has(key)) state[key] = asked.get(key);
    offerProblems();
    for (const field of fields) {
      field.value = state[field.id];
      // An address may name what is not there: the choice is then "all".
      if (field.value !== state[field.id]) field.value = state[field.id] = DEFAULTS[field.id];
    }
    byId("colour").checked = state.colour === "1";
    draw();
    return Object.keys(DEFAULTS).some((key) => asked.has(key));
  }

  function turn(pages) {
    state.page = String(Number(state.page) + pages);
    show();
    remember();
    byId("samples").scrollIntoView();
  }

  let waiting = 0;
  function changed(event) {
    state[event.target.id] = event.target.value;
    state.page = "1";
    if (event.target.id === "task") {
      offerProblems();
      byId("problem").value = state.problem;
    }
    clearTimeout(waiting);
    waiting = setTimeout(() => { draw(); remember(); }, event.target.id === "q" ? 150 : 0);
  }

  fill(byId("arm"), data.arms.map((name) => [name, name]));
  fill(byId("task"), [...new Set(data.problems.map(([task]) => task))].map((name) => [name, name]));
  fill(byId("finish"), [...new Set(rows.finish)].map((name) => [name, name]));
  for (const field of fields) field.addEventListener("input", changed);
  byId("colour").addEventListener("change", (event) => {
    state.colour = event.target.checked ? "1" : "0";
    show();
    remember();
  });
  byId("reset").addEventListener("click", () => { history.replaceState(null, "", "#samples"); recall(); });
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  // A link to a section changes the address as well; it leaves the filters as they are.
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) recall(); });
  byId("colour-field").hidden = !coloured;
  byId("browser").hidden = false;
  if (recall()) byId("samples").scrollIntoView();
})();
