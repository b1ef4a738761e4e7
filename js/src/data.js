// Unpacks what Python sent: labels in a JSON header, numbers as typed columns of one buffer.

const TYPES = { float32: Float32Array, uint32: Uint32Array, uint16: Uint16Array };
export const NO_FAMILY = 65535;

export function unpack(headerText, view) {
  const header = JSON.parse(headerText);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  const columns = {};
  for (const { name, type, offset, length } of header.columns) {
    columns[name] = new TYPES[type](bytes.buffer, offset, length);
  }
  const n = columns.x.length;
  return { ...header, ...columns, n, m: columns.source.length, ...linkUp(columns, n) };
}

// Edges of each node, the strongest first: `edgesOf.subarray(start[i], start[i + 1])`.
function linkUp({ source, target, bits }, n) {
  const m = source.length;
  const strongest = Uint32Array.from({ length: m }, (_, e) => e).sort((a, b) => bits[b] - bits[a]);
  const start = new Uint32Array(n + 1);
  for (let e = 0; e < m; e++) {
    start[source[e] + 1]++;
    start[target[e] + 1]++;
  }
  for (let i = 0; i < n; i++) start[i + 1] += start[i];
  const next = start.slice();
  const edgesOf = new Uint32Array(2 * m);
  for (const e of strongest) {
    edgesOf[next[source[e]]++] = e;
    edgesOf[next[target[e]]++] = e;
  }
  return { strongest, start, edgesOf };
}

export function spellDay(day) {
  return day < 0 ? "not dated" : new Date(day * 864e5).toISOString().slice(0, 10);
}

export function neighbours(graph, node) {
  const found = [];
  for (let k = graph.start[node]; k < graph.start[node + 1]; k++) {
    const edge = graph.edgesOf[k];
    const other = graph.source[edge] === node ? graph.target[edge] : graph.source[edge];
    found.push({ edge, other });
  }
  return found;
}
