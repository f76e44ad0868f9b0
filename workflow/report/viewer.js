/* The motion viewer: bodies as capsules on a 2D canvas, one panel a method, all with one clock and one camera. */

const LENS = 0.3; // half the image's height at distance one
const SPEEDS = [0.25, 0.5, 1, 2];
const START = { azimuth: 0, elevation: 0.24, zoom: 1 };
const LIMBS = /(knee|ankle|foot|elbow|wrist)$/;

/** Positions of a packed motion in metres: frame after frame, person, joint, (x, y, z). */
export function decode(packed) {
  const bytes = Uint8Array.from(atob(packed.joints), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => view.getInt16(2 * index, true) * packed.scale);
}

/** Where a motion happens on the ground, and how far it reaches from there. */
export function extent(points) {
  const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (let index = 0; index < points.length; index += 3) {
    [points[index], points[index + 2]].forEach((value, axis) => {
      low[axis] = Math.min(low[axis], value);
      high[axis] = Math.max(high[axis], value);
    });
  }
  const reach = Math.hypot(high[0] - low[0], high[1] - low[1]) / 2;
  return { x: (low[0] + high[0]) / 2, z: (low[1] + high[1]) / 2, reach };
}

/** The direction from which both people are seen side by side: across the line between them, radians about y. */
export function beside(points, joints) {
  let x = 0, z = 0;
  for (let index = 0; index < points.length; index += 6 * joints) {
    x += points[index + 3 * joints] - points[index];
    z += points[index + 3 * joints + 2] - points[index + 2];
  }
  return Math.hypot(x, z) < 1e-6 ? 0 : Math.atan2(-z, x) + 0.3;
}

/** A projection onto an image of the given size: world point in, [x, y, depth, pixels a metre] out. */
export function lens(view, centre, reach, width, height) {
  const [sine, cosine] = [Math.sin(view.azimuth), Math.cos(view.azimuth)];
  const [lift, level] = [Math.sin(view.elevation), Math.cos(view.elevation)];
  const distance = (Math.max((reach * height) / width, 1.05) / LENS + 0.5 * reach) / view.zoom;
  const focal = height / 2 / LENS;
  return (x, y, z) => {
    const [dx, dy, dz] = [x - centre.x, y - centre.y, z - centre.z];
    const forward = sine * dx + cosine * dz;
    const depth = Math.max(distance - level * forward - lift * dy, 0.05);
    const scale = focal / depth;
    return [
      width / 2 + (cosine * dx - sine * dz) * scale,
      height / 2 - (level * dy - lift * forward) * scale,
      depth,
      scale,
    ];
  };
}

/** The outline of two discs and the area between them, as a path on the context. */
function capsule(context, [x1, y1], r1, [x2, y2], r2) {
  const along = Math.hypot(x2 - x1, y2 - y1);
  context.beginPath();
  if (along <= Math.abs(r1 - r2)) {
    const [x, y, r] = r1 > r2 ? [x1, y1, r1] : [x2, y2, r2];
    context.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  const heading = Math.atan2(y2 - y1, x2 - x1);
  const tangent = Math.acos((r1 - r2) / along);
  context.arc(x1, y1, r1, heading + tangent, heading - tangent + 2 * Math.PI);
  context.arc(x2, y2, r2, heading - tangent, heading + tangent);
  context.closePath();
}

/** Every bone of a body: the joints at its ends, their radii, whether it is a limb and whether on the right. */
export function bones(body) {
  return body.joints.flatMap((name, joint) =>
    body.parents[joint] < 0
      ? []
      : [{
          from: body.parents[joint], to: joint, thick: [body.radii[body.parents[joint]], body.radii[joint]],
          limb: LIMBS.test(name), right: name.startsWith("right_"),
        }],
  );
}

class Panel {
  constructor(canvas, body, palette) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.ground = document.createElement("canvas");
    this.bones = bones(body);
    this.joints = body.joints.length;
    this.neck = body.joints.indexOf("neck");
    this.head = body.joints.indexOf("head");
    this.palette = palette;
  }

  /** Take another motion; `reach` is shared by all panels, so that people are equally large in each. */
  load(motion, reach) {
    this.points = motion.points;
    this.frames = motion.frames;
    this.floor = motion.floor;
    this.centre = { x: motion.extent.x, y: motion.floor + 0.85, z: motion.extent.z };
    this.reach = reach;
    this.drawn = null;
  }

  fit() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (width === this.canvas.width && height === this.canvas.height) return;
    for (const canvas of [this.canvas, this.ground]) [canvas.width, canvas.height] = [width, height];
    this.drawn = null;
  }

  draw(frame, view) {
    this.fit();
    const { width, height } = this.canvas;
    if (!width || !height) return;
    const project = lens(view, this.centre, this.reach, width, height);
    const state = `${view.azimuth} ${view.elevation} ${view.zoom} ${this.palette.name}`;
    if (this.drawn !== state) this.paintGround(project);
    this.drawn = state;
    this.context.clearRect(0, 0, width, height);
    this.context.drawImage(this.ground, 0, 0);
    const pieces = [];
    for (let person = 0; person < 2; person++) this.collect(Math.min(frame, this.frames - 1), person, project, pieces);
    this.context.fillStyle = this.palette.shadow;
    for (const piece of pieces) this.fill(piece.shade, 0);
    pieces.sort((one, other) => other.depth - one.depth);
    for (const piece of pieces) {
      if (piece.limb) {
        this.context.fillStyle = this.palette.card;
        this.fill(piece.ends, 0.012);
      }
      this.context.fillStyle = piece.colours[0];
      this.fill(piece.ends, 0);
      this.context.fillStyle = piece.colours[1];
      this.shine(piece.ends);
    }
  }

  fill([[start, r1], [stop, r2]], rim) {
    capsule(this.context, start, (r1 + rim) * start[3], stop, (r2 + rim) * stop[3]);
    this.context.fill();
  }

  shine([[start, r1], [stop, r2]]) {
    const shift = (point, radius) => [point[0] - 0.28 * radius * point[3], point[1] - 0.34 * radius * point[3]];
    capsule(this.context, shift(start, r1), 0.5 * r1 * start[3], shift(stop, r2), 0.5 * r2 * stop[3]);
    this.context.fill();
  }

  collect(frame, person, project, pieces) {
    const base = (2 * frame + person) * 3 * this.joints;
    const at = (joint) => this.points.subarray(base + 3 * joint, base + 3 * joint + 3);
    const add = (from, to, thick, limb, right) => {
      const ends = [[project(...from), thick[0]], [project(...to), thick[1]]];
      const shade = [from, to].map(([x, , z], end) => [project(x, this.floor, z), thick[end]]);
      const depth = ends[0][0][2] + ends[1][0][2];
      pieces.push({ ends, shade, depth, limb, colours: this.palette.people[person][limb && right ? 1 : 0] });
    };
    for (const bone of this.bones) add(at(bone.from), at(bone.to), bone.thick, bone.limb, bone.right);
    const [neck, head] = [at(this.neck), at(this.head)];
    const up = [0, 1, 2].map((axis) => head[axis] - neck[axis]);
    const long = Math.max(Math.hypot(...up), 1e-6);
    const skull = (by) => [0, 1, 2].map((axis) => head[axis] + (by * up[axis]) / long);
    add(skull(0.05), skull(0.09), [0.1, 0.1], false, false);
  }

  paintGround(project) {
    const context = this.ground.getContext("2d");
    context.clearRect(0, 0, this.ground.width, this.ground.height);
    context.strokeStyle = this.palette.grid;
    context.lineWidth = Math.max(1, this.ground.height / 350);
    const outer = this.reach + 1.6;
    const step = 0.5 * 2 ** Math.max(0, Math.ceil(Math.log2(outer / 8)));
    const lines = Math.ceil(outer / step);
    for (let line = -lines; line <= lines; line++) {
      for (let part = -4 * lines; part < 4 * lines; part++) {
        const [across, from, to] = [line * step, (part * step) / 4, ((part + 1) * step) / 4];
        const fade = 1 - Math.hypot(across, (from + to) / 2) / outer;
        if (fade <= 0) continue;
        context.globalAlpha = Math.min(1, 1.8 * fade);
        for (const [x1, z1, x2, z2] of [[across, from, across, to], [from, across, to, across]]) {
          const one = project(this.centre.x + x1, this.floor, this.centre.z + z1);
          const other = project(this.centre.x + x2, this.floor, this.centre.z + z2);
          if (one[2] < 0.2 || other[2] < 0.2) continue;
          context.beginPath();
          context.moveTo(one[0], one[1]);
          context.lineTo(other[0], other[1]);
          context.stroke();
        }
      }
    }
    context.globalAlpha = 1;
  }
}

/** Colours of the page as it looks now; canvases know nothing of style sheets. */
function palette() {
  const probe = document.body.appendChild(document.createElement("span"));
  const resolved = (value) => {
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };
  const mix = (name, share) => resolved(`color-mix(in srgb, var(${name}), white ${share}%)`);
  const people = ["--person-a", "--person-b"].map((name) => [[mix(name, 0), mix(name, 16)], [mix(name, 34), mix(name, 50)]]);
  const found = { people, card: resolved("var(--card)"), grid: resolved("var(--grid)"), shadow: resolved("var(--shadow)") };
  probe.remove();
  return { ...found, name: JSON.stringify(found) };
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const PLAY = "M4 2.5v11l10-5.5z", PAUSE = "M3.5 2.5h3.4v11H3.5zM9.1 2.5h3.4v11H9.1z";

/** Build the viewer inside `root`. */
export function mountViewer(root, data) {
  const colours = palette();
  const view = { ...START };
  const state = { dataset: 0, prompt: 0, frame: 0, speed: 1, playing: false, seen: false, stale: true };
  const motions = new Map();

  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("aria-hidden", "true");
  const shape = icon.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  const play = element("button", { type: "button", class: "round", onclick: () => setPlaying(!state.playing) }, icon);
  const scrub = element("input", { type: "range", min: 0, value: 0, step: 1, "aria-label": "Frame", oninput: () => {
    setPlaying(false);
    show(Number(scrub.value));
  } });
  const time = element("span", { class: "time" });
  const speed = element("select", { "aria-label": "Speed", onchange: () => { state.speed = Number(speed.value); } },
    ...SPEEDS.map((value) => element("option", { value }, `${value}×`)));
  speed.value = 1;
  const reset = element("button", { type: "button", class: "plain", onclick: () => aim() }, "Reset view");
  const datasets = element("select", { "aria-label": "Dataset", onchange: () => choose(Number(datasets.value), 0) },
    ...data.datasets.map((one, value) => element("option", { value }, one.label)));
  const prompts = element("select", { class: "prompt", "aria-label": "Prompt", onchange: () => choose(state.dataset, Number(prompts.value)) });
  const step = (by) => choose(state.dataset, (state.prompt + by + prompts.length) % prompts.length);
  const caption = element("p", { class: "caption", "aria-live": "polite" });
  const grid = element("div", { class: "panels" });
  root.replaceChildren(
    element("div", { class: "head" }, datasets, prompts,
      element("span", { class: "steps" },
        element("button", { type: "button", class: "plain", "aria-label": "Previous prompt", onclick: () => step(-1) }, "‹"),
        element("button", { type: "button", class: "plain", "aria-label": "Next prompt", onclick: () => step(1) }, "›"))),
    caption,
    grid,
    element("div", { class: "controls" }, play, scrub, time, speed, reset),
  );
  let panels = [];

  function motion(dataset, method, prompt) {
    const key = `${dataset} ${method} ${prompt}`;
    if (!motions.has(key)) {
      const packed = data.datasets[dataset].methods[method].motions[prompt];
      const points = decode(packed);
      motions.set(key, { points, extent: extent(points), frames: packed.frames, floor: packed.floor });
    }
    return motions.get(key);
  }

  function choose(dataset, prompt) {
    const chosen = data.datasets[dataset];
    if (dataset !== state.dataset || !panels.length) {
      prompts.replaceChildren(...chosen.prompts.map((one, value) => element("option", { value }, one.caption)));
      const canvases = chosen.methods.map(() => element("canvas", { role: "img" }));
      grid.replaceChildren(...chosen.methods.map((method, index) => element("figure", { class: "panel" }, canvases[index],
        element("figcaption", {}, method.label, ...(index ? [] : [element("small", {}, chosen.label)])))));
      panels = canvases.map((canvas) => new Panel(canvas, data.body, colours));
    }
    Object.assign(state, { dataset, prompt, frame: 0, stale: true });
    prompts.value = prompt;
    datasets.value = dataset;
    const words = chosen.prompts[prompt];
    caption.replaceChildren(words.caption);
    if (words.individual.length) {
      caption.append(element("small", {}, element("span", { class: "a" }, "a "), `${words.individual[0]} `,
        element("span", { class: "b" }, "b "), words.individual[1]));
    }
    const loaded = chosen.methods.map((_, method) => motion(dataset, method, prompt));
    // A model that sends people far away must not make everyone else small.
    const reach = 0.35 + Math.min(Math.max(...loaded.map((one) => one.extent.reach)), 1.6 * loaded[0].extent.reach + 0.5);
    panels.forEach((panel, method) => {
      panel.load(loaded[method], reach);
      panel.canvas.setAttribute("aria-label", `${chosen.methods[method].label}: ${words.caption}`);
    });
    START.azimuth = beside(loaded[0].points, data.body.joints.length);
    aim();
    scrub.max = loaded[0].frames - 1;
    show(0);
  }

  function aim() {
    Object.assign(view, START);
    state.stale = true;
  }

  function turn(right, up) {
    view.azimuth -= right;
    view.elevation = Math.min(1.5, Math.max(-0.1, view.elevation + up));
    state.stale = true;
  }

  function zoom(by) {
    view.zoom = Math.min(5, Math.max(0.4, view.zoom * by));
    state.stale = true;
  }

  function show(frame) {
    state.frame = frame;
    state.stale = true;
  }

  function setPlaying(playing) {
    state.playing = playing;
    shape.setAttribute("d", playing ? PAUSE : PLAY);
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    root.dataset.playing = playing;
  }

  let before = null, hold = 0;
  function tick(now) {
    const frames = panels[0].frames, { fps } = data.datasets[state.dataset];
    const passed = before === null ? 0 : Math.min((now - before) / 1000, 0.1) * state.speed;
    before = now;
    if (state.seen && state.playing) {
      if (state.frame >= frames - 1 && (hold += passed) > 0.6) [hold, state.frame] = [0, 0];
      else state.frame = Math.min(frames - 1, state.frame + passed * fps);
      state.stale = true;
    }
    if (state.seen && state.stale) {
      const frame = Math.round(state.frame);
      panels.forEach((panel) => panel.draw(frame, view));
      scrub.value = frame;
      time.textContent = `${(frame / fps).toFixed(2)} / ${((frames - 1) / fps).toFixed(2)} s`;
      root.dataset.frame = frame;
      state.stale = false;
    }
    requestAnimationFrame(tick);
  }

  const keys = {
    " ": () => setPlaying(!state.playing),
    ",": () => { setPlaying(false); show(Math.max(0, Math.round(state.frame) - 1)); },
    ".": () => { setPlaying(false); show(Math.min(panels[0].frames - 1, Math.round(state.frame) + 1)); },
    ArrowLeft: () => turn(-0.12, 0), ArrowRight: () => turn(0.12, 0),
    ArrowUp: () => turn(0, 0.08), ArrowDown: () => turn(0, -0.08),
    "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15), "0": () => aim(),
    n: () => step(1), p: () => step(-1),
  };
  root.addEventListener("keydown", (event) => {
    if (event.target !== root || event.ctrlKey || event.metaKey || event.altKey) return; // controls have keys of their own
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) {
      act();
      event.preventDefault();
    }
  });

  const fingers = new Map();
  grid.addEventListener("pointerdown", (event) => {
    root.focus({ preventScroll: true });
    fingers.set(event.pointerId, event);
    event.target.setPointerCapture(event.pointerId);
  });
  grid.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    if (fingers.size === 1) turn((event.clientX - last.clientX) / 120, (event.clientY - last.clientY) / 160);
    else {
      const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      zoom(apart(event) / apart(last));
    }
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    grid.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  grid.addEventListener("dblclick", () => aim());
  grid.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300));
  }, { passive: false });

  new ResizeObserver(() => { state.stale = true; }).observe(grid);
  new IntersectionObserver(([entry]) => { state.seen = entry.isIntersecting; }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    Object.assign(colours, palette());
    state.stale = true;
  });
  choose(0, 0);
  setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  requestAnimationFrame(tick);
}
