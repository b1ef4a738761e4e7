// The widget: an anywidget module. Python computed layout and texts; here they are drawn, searched,
// filtered and played. Texts reach the page through textContent and the canvas only.
import Graph from "graphology";
import Sigma from "sigma";
import { EdgeLineProgram } from "sigma/rendering";
import { NO_FAMILY, neighbours, spellDay, unpack } from "./data.js";
import { build } from "./panel.js";
import { ACCOUNT_SHAPE, makePrograms, shapeOf } from "./shapes.js";

const MAX_DRAWN_EDGES = 30_000; // the strongest; more would only be a blur, and slow
const MAX_LIT_ON_HOVER = 8000; // nodes
const STEPS = 60; // of the timeline when it plays
const STEP_MS = 160;
const WINDOW_DAYS = 7;

// Sigma blends premultiplied colours: a fainter one has its channels scaled as well.
function fade(hex, alpha) {
  const channels = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) * alpha);
  return `#${[...channels, 255 * alpha].map((c) => Math.round(c).toString(16).padStart(2, "0")).join("")}`;
}

function shorten(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function fitScale(data) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < data.n; i++) {
    x0 = Math.min(x0, data.x[i]);
    x1 = Math.max(x1, data.x[i]);
    y0 = Math.min(y0, data.y[i]);
    y1 = Math.max(y1, data.y[i]);
  }
  return 560 / Math.max(x1 - x0, y1 - y0, 1);
}

function drawn(data) {
  const graph = new Graph({ type: "undirected", multi: true });
  const scale = fitScale(data);
  for (let i = 0; i < data.n; i++) {
    const family = data.family[i];
    const isAccount = family === NO_FAMILY;
    graph.addNode(String(i), {
      x: data.x[i],
      y: data.y[i],
      size: Math.max(isAccount ? 1.4 : 2.4, (data.size[i] / 2) * scale),
      label: data.labels[i],
      color: isAccount ? data.account_colour : data.colours[family],
      type: isAccount ? ACCOUNT_SHAPE : shapeOf(data.families[family]),
      zIndex: isAccount ? 0 : 1,
    });
  }
  const kept = data.strongest.subarray(0, MAX_DRAWN_EDGES);
  const alpha = Math.min(0.35, Math.max(0.04, 5 / Math.sqrt(kept.length))); // fainter where they crowd
  for (const e of kept) {
    const colour = data.colours[data.family[data.target[e]]] || data.account_colour;
    graph.addEdgeWithKey(String(e), String(data.source[e]), String(data.target[e]), {
      color: fade(colour, alpha),
      strong: colour,
      size: 1,
    });
  }
  return graph;
}

function startState(data) {
  let [from, to] = [Infinity, -Infinity];
  for (let e = 0; e < data.m; e++) {
    if (data.begin[e] >= 0) from = Math.min(from, data.begin[e]);
    if (data.end[e] >= 0) to = Math.max(to, data.end[e]);
  }
  return {
    hiddenFamilies: new Set(),
    hiddenKinds: new Set(),
    minBits: 0,
    minHolders: 0,
    from: Number.isFinite(from) ? Math.floor(from) : -1,
    to: Number.isFinite(to) ? Math.ceil(to) : -1,
    day: Number.isFinite(to) ? Math.ceil(to) : -1,
    recent: false,
    focus: null, // a set of nodes, or all
    hovered: -1,
    pinned: -1,
    picked: new Set(),
    showNode: new Uint8Array(data.n).fill(1),
    showEdge: new Uint8Array(data.m).fill(1),
    timer: 0,
  };
}

// Which nodes and links the filters leave. A link needs both ends; an identifier needs a link.
function filter(data, state) {
  const { showNode, showEdge } = state;
  const playing = state.day >= 0 && (state.day < state.to || state.recent);
  const since = state.recent ? state.day - WINDOW_DAYS : -Infinity;
  for (let i = 0; i < data.n; i++) {
    const isAccount = data.family[i] === NO_FAMILY;
    let show = !state.focus || state.focus.has(i);
    if (show && !isAccount) {
      show =
        !state.hiddenFamilies.has(data.family[i]) &&
        !state.hiddenKinds.has(data.kind[i]) &&
        data.holders[i] >= state.minHolders;
    }
    if (show && playing && data.first[i] >= 0) {
      show = data.first[i] <= state.day && data.last[i] >= since;
    }
    showNode[i] = show ? 1 : 0;
  }
  const linked = new Uint8Array(data.n);
  let nLinks = 0;
  for (let e = 0; e < data.m; e++) {
    let show = showNode[data.source[e]] && showNode[data.target[e]];
    if (show && state.minBits > 0) show = data.bits[e] >= state.minBits;
    if (show && playing && data.begin[e] >= 0) {
      show = data.begin[e] <= state.day && data.end[e] >= since;
    }
    showEdge[e] = show ? 1 : 0;
    if (show) {
      nLinks++;
      linked[data.source[e]] = linked[data.target[e]] = 1;
    }
  }
  let [nAccounts, nIdentifiers] = [0, 0];
  for (let i = 0; i < data.n; i++) {
    const isAccount = data.family[i] === NO_FAMILY;
    if (!isAccount && !linked[i] && data.start[i + 1] > data.start[i]) showNode[i] = 0;
    if (showNode[i]) isAccount ? nAccounts++ : nIdentifiers++;
  }
  return { nAccounts, nIdentifiers, nLinks };
}

function themeOf(el) {
  const style = getComputedStyle(el);
  return { ink: style.color, paper: style.backgroundColor };
}

function render({ model, el }) {
  const data = unpack(model.get("header"), model.get("data"));
  const graph = drawn(data);
  const state = startState(data);
  const panel = build(el, data, state, model.get("height"));
  let theme = themeOf(panel.root);
  const lit = new Set(); // what stands out: the hovered or pinned node and its neighbours

  const reduceNode = (key, attributes) => {
    const i = Number(key);
    const out = { ...attributes, label: "" };
    if (!state.showNode[i]) return { ...out, hidden: true };
    if (state.picked.has(i)) Object.assign(out, { color: theme.ink, size: out.size * 1.5, zIndex: 3 });
    if (lit.size) {
      if (lit.has(i)) out.zIndex = 2;
      else Object.assign(out, { color: fade(attributes.color, 0.16), zIndex: 0 });
      if (i === state.hovered || i === state.pinned) {
        Object.assign(out, { label: attributes.label, forceLabel: true, zIndex: 3 });
      }
    } else if (attributes.type !== ACCOUNT_SHAPE) out.label = attributes.label;
    return out;
  };
  const reduceEdge = (key, attributes) => {
    const e = Number(key);
    if (!state.showEdge[e]) return { ...attributes, hidden: true };
    const centre = state.hovered >= 0 ? state.hovered : state.pinned;
    if (centre < 0) return attributes;
    const touches = data.source[e] === centre || data.target[e] === centre;
    return touches ? { ...attributes, color: attributes.strong, zIndex: 1 } : { ...attributes, hidden: true };
  };

  const sigma = new Sigma(graph, panel.canvas, {
    allowInvalidContainer: true,
    nodeProgramClasses: makePrograms(),
    edgeProgramClasses: { line: EdgeLineProgram },
    defaultEdgeType: "line",
    nodeReducer: reduceNode,
    edgeReducer: reduceEdge,
    labelColor: { color: theme.ink },
    labelFont: "system-ui, sans-serif",
    labelSize: 12,
    labelDensity: 0.25,
    labelGridCellSize: 160,
    labelRenderedSizeThreshold: 7,
    hideEdgesOnMove: graph.size > 10_000,
    hideLabelsOnMove: true,
    zIndex: true,
    minCameraRatio: 0.01,
    maxCameraRatio: 3,
    defaultDrawNodeHover: drawHover,
    defaultDrawNodeLabel: drawLabel,
  });

  // A rim of paper keeps a label readable over marks and lines.
  function drawLabel(context, node) {
    if (!node.label) return;
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = theme.paper;
    context.fillStyle = theme.ink;
    const at = [shorten(node.label, 28), node.x + node.size + 3, node.y + 4];
    context.strokeText(...at);
    context.fillText(...at);
  }

  function drawHover(context, node) {
    const label = shorten(data.labels[Number(node.key)] || "", 60);
    context.font = "12px system-ui, sans-serif";
    const width = context.measureText(label).width;
    context.fillStyle = theme.paper;
    context.strokeStyle = theme.ink;
    context.lineWidth = 0.6;
    context.beginPath();
    context.rect(node.x + node.size + 2, node.y - 10, width + 10, 20);
    context.fill();
    context.stroke();
    context.fillStyle = theme.ink;
    context.fillText(label, node.x + node.size + 7, node.y + 4);
  }

  function refresh() {
    const counts = filter(data, state);
    sigma.refresh({ skipIndexation: true });
    panel.showCounts(counts, Math.min(data.m, MAX_DRAWN_EDGES));
  }

  function light(node) {
    lit.clear();
    if (node >= 0) {
      lit.add(node);
      for (const { edge, other } of neighbours(data, node)) if (state.showEdge[edge]) lit.add(other);
    }
  }

  // Pointing lights up the neighbours; where that would stutter, clicking does.
  const lightsOnHover = graph.order <= MAX_LIT_ON_HOVER;
  function hover(node) {
    if (!lightsOnHover) return panel.showNode(node >= 0 ? node : state.pinned);
    state.hovered = node;
    light(node >= 0 ? node : state.pinned);
    sigma.refresh({ skipIndexation: true });
    panel.showNode(node >= 0 ? node : state.pinned);
  }

  function pin(node) {
    state.pinned = node;
    state.hovered = -1;
    light(node);
    sigma.refresh({ skipIndexation: true });
    panel.showNode(node);
  }

  function share() {
    model.set("picked", [...state.picked].sort((a, b) => a - b));
    model.save_changes();
    panel.showPicked(state.picked.size);
    sigma.refresh({ skipIndexation: true });
  }

  function pick(nodes, on = true) {
    for (const i of nodes) {
      if (data.family[i] !== NO_FAMILY) continue;
      on ? state.picked.add(i) : state.picked.delete(i);
    }
    share();
  }

  function goTo(node) {
    const at = sigma.getNodeDisplayData(String(node));
    pin(node);
    if (at) sigma.getCamera().animate({ x: at.x, y: at.y, ratio: Math.min(0.7, sigma.getCamera().ratio) }, { duration: 250 });
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = 0;
    panel.showPlaying(false);
  }

  function setDay(day) {
    state.day = Math.min(day, state.to);
    panel.showDay(state.day);
    refresh();
  }

  function play() {
    if (state.timer) return stop();
    const step = Math.max(1, (state.to - state.from) / STEPS);
    if (state.day >= state.to) setDay(state.from);
    panel.showPlaying(true);
    state.timer = setInterval(() => {
      setDay(state.day + step);
      if (state.day >= state.to) stop();
    }, STEP_MS);
  }

  sigma.on("enterNode", ({ node }) => hover(Number(node)));
  sigma.on("leaveNode", () => hover(-1));
  sigma.on("clickNode", ({ node, event }) => {
    const i = Number(node);
    const keys = event.original;
    if (keys.shiftKey || keys.ctrlKey || keys.metaKey) pick([i], !state.picked.has(i));
    else pin(state.pinned === i ? -1 : i);
  });
  sigma.on("clickStage", () => pin(-1));
  sigma.on("doubleClickNode", ({ node, event }) => {
    event.preventSigmaDefault();
    expand(Number(node));
  });

  // Show a node with its neighbours only; once focused, add the neighbours of another.
  function expand(node) {
    state.focus = state.focus || new Set();
    state.focus.add(node);
    for (const { other } of neighbours(data, node)) state.focus.add(other);
    refresh();
    pin(node);
    panel.showFocus(true);
  }

  panel.connect({
    refresh,
    goTo,
    pin,
    expand,
    play,
    setDay: (day) => {
      stop();
      setDay(day);
    },
    unfocus: () => {
      state.focus = null;
      panel.showFocus(false);
      refresh();
    },
    fit: () => sigma.getCamera().animatedReset({ duration: 200 }),
    pick,
    pickShown: () => pick(Array.from({ length: data.n }, (_, i) => i).filter((i) => state.showNode[i])),
    pickNeighbours: (node) => pick(neighbours(data, node).filter(({ edge }) => state.showEdge[edge]).map(({ other }) => other)),
    unpick: () => {
      state.picked.clear();
      share();
    },
  });

  const fromPython = () => {
    state.picked = new Set(model.get("picked"));
    panel.showPicked(state.picked.size);
    sigma.refresh({ skipIndexation: true });
  };
  const repaint = () => {
    theme = themeOf(panel.root);
    sigma.setSetting("labelColor", { color: theme.ink });
    sigma.refresh({ skipIndexation: true });
  };
  const resized = new ResizeObserver(() => sigma.resize() && sigma.refresh());
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  model.on("change:picked", fromPython);
  scheme.addEventListener("change", repaint);
  resized.observe(panel.canvas);
  fromPython();
  refresh();

  return () => {
    stop();
    resized.disconnect();
    scheme.removeEventListener("change", repaint);
    model.off("change:picked", fromPython);
    sigma.kill();
  };
}

export default { render };
export { spellDay };
