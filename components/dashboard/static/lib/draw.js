// One paint per animation frame, however often something changes. Pages change their state and call `draw`.
let scheduled = false;
let painter = () => {};
const after = [];

export function paintWith(paint) {
  painter = paint;
}

export function draw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    painter();
    for (const work of after.splice(0)) work();
  });
}

// Once, when what is on the way has been painted.
export function afterPaint(work) {
  after.push(work);
  draw();
}
