// One mark a family, so that families are told apart without colour. Each mark is a WebGL point
// whose fragment shader cuts its outline; picking (hover, click) uses the same outline.
import { NodePointProgram } from "sigma/rendering";

// Distance functions on p in -1..1, y down; negative inside.
const OUTLINES = {
  disc: "length(p) - 0.95",
  square: "max(abs(p.x), abs(p.y)) - 0.78",
  diamond: "abs(p.x) + abs(p.y) - 0.98",
  triangle: "max(abs(p.x) * 0.866 - p.y * 0.5, p.y) - 0.48",
  hexagon: "max(abs(p.y) * 0.866 + abs(p.x) * 0.5, abs(p.x)) - 0.86",
  cross: "min(max(abs(p.x) - 0.95, abs(p.y) - 0.36), max(abs(p.y) - 0.95, abs(p.x) - 0.36))",
  bar: "max(abs(p.x) - 0.95, abs(p.y) - 0.5)",
};
const FAMILY_SHAPES = {
  payment: "square",
  registration: "diamond",
  network: "triangle",
  content: "hexagon",
  client: "cross",
  software: "bar",
};

export const ACCOUNT_SHAPE = "disc";

export function shapeOf(family) {
  return FAMILY_SHAPES[family] || "diamond";
}

function fragmentShader(outline) {
  return `
precision mediump float;
varying vec4 v_color;
varying float v_border;
void main(void) {
  vec2 p = 2.0 * gl_PointCoord - 1.0;
  float d = ${outline};
  #ifdef PICKING_MODE
  if (d > 0.0) discard;
  gl_FragColor = v_color;
  #else
  float edge = 2.0 * v_border;
  float inside = 1.0 - smoothstep(-edge, edge, d);
  gl_FragColor = mix(vec4(0.0), v_color, inside);
  #endif
}`;
}

export function makePrograms() {
  const programs = {};
  for (const [name, outline] of Object.entries(OUTLINES)) {
    programs[name] = class extends NodePointProgram {
      getDefinition() {
        return { ...super.getDefinition(), FRAGMENT_SHADER_SOURCE: fragmentShader(outline) };
      }
    };
  }
  return programs;
}

// The same marks for the legend, as SVG.
export function drawMark(shape, colour) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-10 -10 20 20");
  svg.setAttribute("class", "lk-mark");
  const paths = {
    disc: "M-8,0a8,8 0 1,0 16,0a8,8 0 1,0 -16,0",
    square: "M-7,-7H7V7H-7Z",
    diamond: "M0,-9L9,0L0,9L-9,0Z",
    triangle: "M0,-8L8,6H-8Z",
    hexagon: "M8,-4.6V4.6L0,9.2L-8,4.6V-4.6L0,-9.2Z",
    cross: "M-3.4,-9H3.4V-3.4H9V3.4H3.4V9H-3.4V3.4H-9V-3.4H-3.4Z",
    bar: "M-9,-5H9V5H-9Z",
  };
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", paths[shape]);
  path.setAttribute("fill", colour);
  svg.append(path);
  return svg;
}
