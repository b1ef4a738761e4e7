// Reads a GEXF file with a reader that is not ours, and prints what it found as JSON.
import { readFileSync } from "node:fs";
import Graph from "graphology";
import { parse } from "graphology-gexf";

const graph = parse(Graph, readFileSync(process.argv[2], "utf8"), { allowUndeclaredAttributes: false });
const sum = (values) => values.reduce((a, b) => a + b, 0);
console.log(
  JSON.stringify({
    nodes: graph.order,
    edges: graph.size,
    weight: sum(graph.mapEdges((_, attributes) => Number(attributes.weight))),
    placed: graph.filterNodes((_, { x, y }) => Number.isFinite(x) && Number.isFinite(y)).length,
    coloured: graph.filterNodes((_, { color }) => Boolean(color)).length,
    attributes: Object.keys(graph.getNodeAttributes(graph.nodes()[0])).sort(),
  }),
);
