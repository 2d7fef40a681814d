(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const views = all("canvas.view");
  const screen = document.createElement("canvas");
  const gl = screen.getContext("webgl2", {antialias: true, preserveDrawingBuffer: true});
  if (!gl) {
    for (const view of views) {
      const note = document.createElement("p");
      note.className = "none";
      note.textContent = "This browser draws no WebGL 2.";
      view.replaceWith(note);
    }
    return;
  }
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const shader = (kind, code) => {
    const made = gl.createShader(kind);
    gl.shaderSource(made, "#version 300 es\nprecision highp float;\n" + code);
    gl.compileShader(made);
    return made;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    in vec3 place; in float shade; in vec3 tint;
    uniform mat3 turn; uniform vec2 zoom; uniform float size;
    out vec3 at; out float far; out vec3 paint;
    void main() {
      at = turn * place; far = shade; paint = tint;
      gl_Position = vec4(at.xy * zoom.x, -at.z * zoom.y, 1.0);
      gl_PointSize = size;
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    in vec3 at; in float far; in vec3 paint; uniform int colored; uniform bool points;
    out vec4 color;
    void main() {
      float light = 1.0;
      if (!points) {
        vec3 normal = normalize(cross(dFdx(at), dFdy(at)));
        light = 0.35 + 0.65 * abs(dot(normal, normalize(vec3(0.3, 0.5, 0.8))));
      }
      vec3 low = vec3(0.55, 0.68, 0.86), middle = vec3(0.97, 0.85, 0.45);
      vec3 high = vec3(0.80, 0.15, 0.12);
      vec3 ramp = far < 0.5 ? mix(low, middle, 2.0 * far) : mix(middle, high, 2.0 * far - 1.0);
      vec3 plain = points ? vec3(0.85, 0.33, 0.10) : vec3(0.78);
      color = vec4(light * (colored == 2 ? paint : colored == 1 ? ramp : plain), 1.0);
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const at = name => gl.getAttribLocation(program, name);
  const spots = {place: at("place"), shade: at("shade"), tint: at("tint")};
  const uniform = {};
  for (const name of ["turn", "zoom", "size", "colored", "points"])
    uniform[name] = gl.getUniformLocation(program, name);

  const stored = document.getElementById("meshes"), UP = stored.dataset.up;
  const packed = JSON.parse(stored.textContent);
  const ready = {};
  const buffer = data => {
    const made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    return made;
  };
  const mesh = number => ready[number] ??= (() => {
    const from = packed[number], array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const places = bytes(from.v);
    buffer(places);
    gl.enableVertexAttribArray(spots.place);
    gl.vertexAttribPointer(spots.place, 3, gl.FLOAT, false, 0, 0);
    if (from.rgb) {
      buffer(bytes(from.rgb));
      gl.enableVertexAttribArray(spots.tint);
      gl.vertexAttribPointer(spots.tint, 3, gl.UNSIGNED_BYTE, true, 0, 0);
    }
    const made = {array, count: places.length / 12, points: !from.f, shades: {}};
    if (from.f) {
      const faces = bytes(from.f);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
      made.count = faces.length / (from.wide ? 4 : 2);
      made.type = from.wide ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT;
    }
    for (const [name, shade] of Object.entries(from.shades))
      made.shades[name] = buffer(bytes(shade.values));
    return made;
  })();

  const states = {};
  const state = group => states[group] ??= {a: 0.6, b: 0.45, zoom: 1.3, time: 0, by: null};
  const shownIn = view => {
    const numbers = view.dataset.meshes.split(",");
    return Number(numbers[Math.min(state(view.dataset.group).time, numbers.length - 1)]);
  };
  // Which colours a shape has by a choice: 0 none, 1 a shade, 2 its own.
  const colored = (number, by) => {
    const from = packed[number], names = Object.keys(from.shades);
    if (by === null) return from.rgb ? [2] : names.length ? [1, names[0]] : [0];
    if (by === "colours" && from.rgb) return [2];
    return by in from.shades ? [1, by] : [0];
  };
  const draw = view => {
    if (!view.offsetParent) return;  // drawn when it is shown
    const {a, b, zoom, by} = state(view.dataset.group), number = shownIn(view);
    const one = mesh(number), [kind, name] = colored(number, by);
    const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    const side = Math.max(64, Math.min(1600, Math.round(view.clientWidth * devicePixelRatio)));
    for (const canvas of [view, screen])
      if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
    gl.viewport(0, 0, side, side);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [x, y, z] = [[ca, sa * sb, -sa * cb], [0, cb, sb], [sa, -ca * sb, ca * cb]];
    const less = column => column.map(value => -value);
    const axes = {x: [y, less(x), z], y: [x, y, z], z: [x, less(z), y]}[UP];
    gl.uniformMatrix3fv(uniform.turn, false, axes.flat());
    gl.uniform2f(uniform.zoom, zoom, 0.2);
    gl.uniform1f(uniform.size, Math.max(2, side / (one.count > 4000 ? 220 : 110)));
    gl.uniform1i(uniform.colored, kind);
    gl.uniform1i(uniform.points, one.points ? 1 : 0);
    gl.bindVertexArray(one.array);
    if (kind === 1) {
      gl.bindBuffer(gl.ARRAY_BUFFER, one.shades[name]);
      gl.enableVertexAttribArray(spots.shade);
      gl.vertexAttribPointer(spots.shade, 1, gl.UNSIGNED_BYTE, true, 0, 0);
    }
    if (one.points) gl.drawArrays(gl.POINTS, 0, one.count);
    else gl.drawElements(gl.TRIANGLES, one.count, one.type, 0);
    const paper = view.getContext("2d");
    paper.clearRect(0, 0, side, side);
    paper.drawImage(screen, 0, 0);
    view.dataset.drawn = (Number(view.dataset.drawn) || 0) + 1;
  };
  const group = name => views.filter(view => view.dataset.group === name);
  const turn = (view, a, b) => {
    const now = state(view.dataset.group);
    now.a += a;
    now.b = Math.max(-1.57, Math.min(1.57, now.b + b));
    group(view.dataset.group).forEach(draw);
  };
  const KEYS = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]};
  for (const view of views) {
    view.addEventListener("pointermove", event => {
      if (event.buttons) turn(view, event.movementX * 0.01, event.movementY * 0.01);
    });
    view.addEventListener("pointerdown", event => {
      view.setPointerCapture(event.pointerId);
      view.focus({preventScroll: true, focusVisible: false});
    });
    view.addEventListener("keydown", event => {
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      turn(view, ...KEYS[event.key]);
    });
    view.addEventListener("wheel", event => {
      if (document.activeElement !== view) return;  // the page scrolls
      event.preventDefault();
      state(view.dataset.group).zoom *= Math.exp(-event.deltaY * 0.001);
      group(view.dataset.group).forEach(draw);
    }, {passive: false});
  }

  const limits = choice => {
    const bar = choice.closest(".controls"), numbers = group(choice.dataset.group).map(shownIn);
    const found = numbers.map(k => packed[k].shades[choice.value]).filter(Boolean);
    bar.querySelector(".ramp").hidden = !found.length;
    bar.querySelector(".limits").textContent =
      found.length ? `0 to ${Number(found[0].limit.toPrecision(3))}` : "";
  };
  for (const choice of all("select.coloured")) {
    choice.addEventListener("change", () => {
      state(choice.dataset.group).by = choice.value;
      limits(choice);
      group(choice.dataset.group).forEach(draw);
    });
    state(choice.dataset.group).by = choice.value;
    limits(choice);
  }
  for (const range of all("input.time"))
    range.addEventListener("input", () => {
      state(range.dataset.group).time = Number(range.value);
      range.parentElement.nextElementSibling.textContent =
        JSON.parse(range.dataset.labels)[range.value];
      group(range.dataset.group).forEach(draw);
    });

  const save = (content, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const pictureOf = name => {  // the views of a group beside one another
    const seen = group(name), height = Math.max(...seen.map(view => view.height));
    const paper = document.createElement("canvas");
    paper.width = seen.reduce((sum, view) => sum + view.width, 0);
    paper.height = height;
    const pen = paper.getContext("2d");
    pen.fillStyle = "white";
    pen.fillRect(0, 0, paper.width, height);
    let x = 0;
    for (const view of seen) {
      pen.drawImage(view, x, 0);
      x += view.width;
    }
    return paper;
  };
  const glbOf = number => {  // a shape as drawn, in its own frame
    const from = packed[number], places = bytes(from.v), count = places.length / 12;
    const parts = [places], bufferViews = [], accessors = [];
    const add = (data, target, accessor) => {
      const start = parts.slice(0, -1).reduce((sum, part) => sum + part.length, 0);
      bufferViews.push({buffer: 0, byteOffset: start, byteLength: data.length, target});
      accessors.push({bufferView: bufferViews.length - 1, ...accessor});
    };
    const floats = new Float32Array(places.buffer), low = [0, 1, 2].map(() => Infinity);
    const high = low.map(() => -Infinity);
    floats.forEach((value, k) => {
      low[k % 3] = Math.min(low[k % 3], value);
      high[k % 3] = Math.max(high[k % 3], value);
    });
    add(places, 34962, {componentType: 5126, count, type: "VEC3", min: low, max: high});
    const primitive = {attributes: {POSITION: 0}, mode: from.f ? 4 : 0};
    if (from.rgb) {
      const rgb = bytes(from.rgb), wide = new Uint8Array(4 * count).fill(255);
      const linear = v => Math.round(255 * (v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      for (let k = 0; k < rgb.length; k++) wide[4 * Math.floor(k / 3) + k % 3] = linear(rgb[k]);
      parts.push(wide);
      add(wide, 34962, {componentType: 5121, normalized: true, count, type: "VEC4"});
      primitive.attributes.COLOR_0 = 1;
    }
    if (from.f) {
      const given = bytes(from.f), faces = from.wide ? new Uint32Array(given.buffer)
        : Uint32Array.from(new Uint16Array(given.buffer));
      parts.push(new Uint8Array(faces.buffer));
      add(parts.at(-1), 34963, {componentType: 5125, count: faces.length, type: "SCALAR"});
      primitive.indices = accessors.length - 1;
    }
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const text = new TextEncoder().encode(JSON.stringify({
      asset: {version: "2.0"}, scene: 0, scenes: [{nodes: [0]}],
      nodes: [{mesh: 0, translation: from.loc, scale: [from.scale, from.scale, from.scale]}],
      meshes: [{primitives: [primitive]}], buffers: [{byteLength: length}], bufferViews, accessors,
    }));
    const padded = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(32);
    padded.set(text);
    const word = (...numbers) => new Uint8Array(Uint32Array.from(numbers).buffer);
    return new Blob([word(0x46546c67, 2, 28 + padded.length + length),
      word(padded.length, 0x4e4f534a), padded, word(length, 0x004e4942), ...parts],
      {type: "model/gltf-binary"});
  };
  for (const button of all("button.picture"))
    button.addEventListener("click", () =>
      pictureOf(button.dataset.group).toBlob(made => save(made, "view.png")));
  for (const button of all("button.glb"))
    button.addEventListener("click", () => {
      const view = button.closest("figure").querySelector("canvas.view");
      save(glbOf(shownIn(view)), "mesh.glb");
    });

  addEventListener("resize", () => views.forEach(draw));
  views.forEach(draw);
})();
