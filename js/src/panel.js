// The controls around the graph. Builds them, shows what the graph tells, and passes on what the
// analyst asks for; it knows nothing of sigma.
import { NO_FAMILY, neighbours, spellDay } from "./data.js";
import { ACCOUNT_SHAPE, drawMark, shapeOf } from "./shapes.js";

const MAX_HITS = 12;
const MAX_EVIDENCE = 25;

function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function button(text, title, onClick) {
  const node = make("button", "lk-button", text);
  node.type = "button";
  node.title = title;
  node.addEventListener("click", onClick);
  return node;
}

function row(label, control) {
  const node = make("label", "lk-row");
  node.append(make("span", "", label), control);
  return node;
}

function slider(min, max, step, value, name) {
  const node = make("input");
  Object.assign(node, { type: "range", min, max, step, value });
  node.setAttribute("aria-label", name);
  return node;
}

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

export function build(el, data, state, height) {
  const root = make("div", "lk-root");
  root.style.height = `${height}px`;
  const bar = make("div", "lk-bar");
  const side = make("div", "lk-side");
  const canvas = make("div", "lk-canvas");
  const details = make("div", "lk-details");
  const status = make("div", "lk-status");
  status.setAttribute("role", "status");
  root.append(bar, side, canvas, details, status);
  el.append(root);
  let act = {};

  // search
  const search = make("input", "lk-search");
  Object.assign(search, { type: "search", placeholder: "Search accounts and identifiers" });
  search.setAttribute("aria-label", "Search");
  const hits = make("div", "lk-hits");
  const finder = make("div", "lk-finder");
  finder.append(search, hits);
  const lower = data.labels.map((label) => label.toLowerCase());
  const find = () => {
    const words = search.value.trim().toLowerCase();
    hits.replaceChildren();
    if (!words) return;
    const found = [];
    for (let i = 0; i < data.n && found.length < MAX_HITS; i++) {
      if (lower[i].includes(words)) found.push(i);
    }
    if (!found.length) hits.append(make("div", "lk-soft", "nothing of that name"));
    for (const i of found) {
      hits.append(
        entry(i, () => {
          hits.replaceChildren();
          act.goTo(i);
        }),
      );
    }
  };
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    event.stopPropagation(); // notebooks listen for single letters
    if (event.key === "Enter") hits.querySelector("button")?.click();
    if (event.key === "Escape") hits.replaceChildren();
  });

  const unfocus = button("Show all again", "Leave the neighbourhood", () => act.unfocus());
  unfocus.hidden = true;
  bar.append(
    make("strong", "lk-title", data.title),
    finder,
    button("Fit", "Show the whole graph", () => act.fit()),
    unfocus,
  );

  function entry(i, onClick) {
    const family = data.family[i];
    const isAccount = family === NO_FAMILY;
    const node = button("", data.labels[i], onClick);
    node.className = "lk-entry";
    node.append(
      drawMark(
        isAccount ? ACCOUNT_SHAPE : shapeOf(data.families[family]),
        isAccount ? data.account_colour : data.colours[family],
      ),
      make("span", "lk-label", data.labels[i]),
    );
    return node;
  }

  // filters
  const counts = new Map();
  for (let i = 0; i < data.n; i++) {
    if (data.family[i] === NO_FAMILY) continue;
    const key = `${data.family[i]}/${data.kind[i]}`;
    counts.set(key, (counts.get(key) || 0) + 1);
  }
  const legend = make("fieldset", "lk-legend");
  legend.append(make("legend", "", "Show"));
  const accountRow = make("div", "lk-family");
  accountRow.append(
    drawMark(ACCOUNT_SHAPE, data.account_colour),
    make("span", "", plural(data.n_accounts, "account")),
  );
  legend.append(accountRow);
  const toggle = (set, key, on) => {
    on ? set.delete(key) : set.add(key);
    act.refresh();
  };
  const check = (text, onChange, mark) => {
    const node = make("label", mark ? "lk-family" : "lk-kind");
    const box = make("input");
    Object.assign(box, { type: "checkbox", checked: true });
    box.addEventListener("change", () => onChange(box.checked));
    node.append(box, ...(mark ? [mark] : []), make("span", "", text));
    return node;
  };
  data.families.forEach((family, f) => {
    const mark = drawMark(shapeOf(family), data.colours[f]);
    legend.append(check(data.family_words[f], (on) => toggle(state.hiddenFamilies, f, on), mark));
    for (const [key, n] of counts) {
      const [own, kind] = key.split("/").map(Number);
      if (own !== f) continue;
      const text = `${data.kinds[kind].replaceAll("_", " ")} (${n.toLocaleString("en")})`;
      legend.append(check(text, (on) => toggle(state.hiddenKinds, kind, on)));
    }
  });

  const mostBits = Math.max(1, Math.ceil(data.bits.reduce((a, b) => Math.max(a, b), 0)));
  const bits = slider(0, mostBits, 0.5, 0, "Fewest bits of a link");
  const bitsSaid = make("output", "", "0");
  bits.addEventListener("input", () => {
    state.minBits = Number(bits.value);
    bitsSaid.textContent = bits.value;
    act.refresh();
  });
  const mostHolders = data.holders.reduce((a, b) => Math.max(a, b), 2);
  const holders = slider(2, mostHolders, 1, 2, "Fewest accounts that hold an identifier");
  const holdersSaid = make("output", "", "2");
  holders.addEventListener("input", () => {
    state.minHolders = Number(holders.value);
    holdersSaid.textContent = holders.value;
    act.refresh();
  });
  const evidence = make("fieldset");
  evidence.append(
    make("legend", "", "Only strong evidence"),
    row("bits of a link, at least", bitsSaid),
    bits,
    row("accounts of an identifier, at least", holdersSaid),
    holders,
  );

  const time = make("fieldset");
  const playButton = button("▶ Play", "Watch the campaign unfold", () => act.play());
  playButton.classList.add("lk-play");
  const day = slider(state.from, state.to, 1, state.to, "Day");
  const daySaid = make("output", "lk-day", spellDay(state.to));
  day.addEventListener("input", () => act.setDay(Number(day.value)));
  const recent = make("input");
  recent.type = "checkbox";
  recent.addEventListener("change", () => {
    state.recent = recent.checked;
    act.refresh();
  });
  time.append(make("legend", "", "Up to this day"));
  if (state.to >= 0 && state.to > state.from) {
    time.append(row("", daySaid), day, row("only the week before it", recent), playButton);
  } else time.append(make("p", "lk-soft", "Nothing here is dated."));

  const picking = make("fieldset");
  const pickedSaid = make("p", "lk-picked", "No account picked.");
  picking.append(
    make("legend", "", "Pick accounts"),
    pickedSaid,
    button("Pick all shown", "Pick every account that the filters leave", () => act.pickShown()),
    button("Clear", "Pick none", () => act.unpick()),
    make("p", "lk-soft", "Shift-click picks one. In Python: widget.selected"),
  );
  side.append(legend, time, evidence, picking);

  // details
  function showNode(i) {
    details.replaceChildren();
    if (i < 0) {
      details.append(
        make("p", "lk-soft", "Point at a mark to see what it is; click to keep it here; double-click to see its neighbours only."),
      );
      return;
    }
    const isAccount = data.family[i] === NO_FAMILY;
    details.append(make("div", "lk-soft", isAccount ? "account" : `${data.kinds[data.kind[i]].replaceAll("_", " ")} (${data.family_words[data.family[i]]})`));
    details.append(make("div", "lk-name", data.labels[i]));
    const facts = [];
    if (isAccount && data.probability[i] >= 0) facts.push(`membership ${data.probability[i].toFixed(3)}`);
    if (!isAccount) facts.push(`held by ${plural(data.holders[i], "account")} here`);
    facts.push(data.first[i] < 0 ? "not dated" : `${spellDay(data.first[i])} to ${spellDay(data.last[i])}`);
    details.append(make("p", "", facts.join(" · ")));
    const tools = make("div", "lk-tools");
    tools.append(button("Only its neighbours", "Show this and what it touches", () => act.expand(i)));
    if (isAccount) tools.append(button("Pick", "Pick this account", () => act.pick([i])));
    else tools.append(button("Pick its accounts", "Pick the accounts that hold it", () => act.pickNeighbours(i)));
    details.append(tools);
    const around = neighbours(data, i).filter(({ edge }) => state.showEdge[edge]);
    details.append(make("div", "lk-soft", `${isAccount ? plural(around.length, "identifier") : plural(around.length, "account")}, most bits first`));
    const list = make("div", "lk-list");
    for (const { edge, other } of around.slice(0, MAX_EVIDENCE)) {
      const line = entry(other, () => act.goTo(other));
      line.append(make("span", "lk-bits", data.bits[edge] < 0 ? "–" : data.bits[edge].toFixed(1)));
      list.append(line);
    }
    details.append(list);
  }
  showNode(-1);

  return {
    root,
    canvas,
    connect: (actions) => {
      act = actions;
    },
    showNode,
    showFocus: (on) => {
      unfocus.hidden = !on;
    },
    showPlaying: (on) => {
      playButton.textContent = on ? "❚❚ Pause" : "▶ Play";
    },
    showDay: (value) => {
      day.value = value;
      daySaid.textContent = spellDay(value);
    },
    showPicked: (n) => {
      pickedSaid.textContent = n ? `${plural(n, "account")} picked.` : "No account picked.";
    },
    showCounts: ({ nAccounts, nIdentifiers, nLinks }, nDrawn) => {
      const parts = [
        plural(nAccounts, "account"),
        plural(nIdentifiers, "identifier"),
        plural(nLinks, "link"),
      ];
      let text = parts.join(", ");
      if (nDrawn < data.m) text += `; the ${nDrawn.toLocaleString("en")} strongest links are drawn`;
      if (data.left_out) text += `; ${plural(data.left_out, "identifier")} of one account, or of few, left out`;
      status.textContent = text;
    },
  };
}
