// The rows of both lists: a trace with what it adds up to, a span with its bar below the axis of time.

// By how much the axis of an open trace grows, so that it does so seldom.
const AXIS_GROWTH = 1.25;
const AXIS_LABEL_WIDTH = 52;

/** The time that the axis covers, from when on and how long in seconds. */
function axis() {
  const start = zoomed?.start ?? trace.start;
  const end = zoomed?.end ?? trace.end;
  const open = zoomed ? isOpen(zoomed) : trace.open;
  const length = Math.max(end - start, 1e-4);
  if (!open || !connected) return { start, length };
  const growing = Math.max(Date.now() / 1000 - start, length);
  return { start, length: AXIS_GROWTH ** Math.ceil(Math.log(growing) / Math.log(AXIS_GROWTH)) };
}

function showAxis() {
  byId("zoom").ariaPressed = String(zoomed !== null);
  const { length } = axis();
  const labels = byId("axis");
  const rough = length / Math.max(labels.clientWidth / AXIS_LABEL_WIDTH, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
  byId("timeline").style.setProperty("--step", `${(step / length) * 100}%`);
  const room = Math.max(1 - AXIS_LABEL_WIDTH / labels.clientWidth, 0) * length;
  const ticks = Array.from({ length: Math.floor(room / step) + 1 }, (_, index) => index * step);
  labels.replaceChildren(
    ...ticks.map((time) => {
      const tick = make("span", {}, time ? duration(time).replace(/[\d.]+/, Number) : "0");
      tick.style.left = `${(time / length) * 100}%`;
      return tick;
    }),
  );
}

function drawTrace({ name, start, end, open, totals }) {
  const failed = totals.errors ? make("span", { className: "error" }, count(totals.errors)) : null;
  const long = open ? "open" : duration(end - start);
  const tokens = totals.tokens ? `${count(totals.tokens)} tokens` : "";
  const row = make(
    "div",
    { className: "trace", role: "option" },
    make("span", { className: "name" }, name),
    failed,
    make("span", { className: "when" }, [clock(start), long, tokens].filter(Boolean).join(" · ")),
  );
  row.ariaLabel = [name, clock(start), long, tokens, totals.errors && `${totals.errors} errors`]
    .filter(Boolean)
    .join(", ");
  return row;
}

function drawSpan(node) {
  const { span: drawn, level, index, count: siblings, children } = node;
  const open = isOpen(drawn);
  const long = open ? "open" : isNumber(drawn.end) ? duration(drawn.end - drawn.start) : "";
  const twisty = make("span", { className: "twisty" });
  const name = make(
    "span",
    { className: "name" },
    twisty,
    make("i", { className: "dot" }),
    make("span", {}, drawn.name),
  );
  name.style.setProperty("--level", Math.min(level - 1, 12));
  const row = make(
    "div",
    { className: "row", role: "treeitem" },
    name,
    make("span", { className: "number" }, long),
    make("span", { className: "track" }, isNumber(drawn.start) ? bar(drawn) : null),
    make("span", { className: "number" }, isNumber(drawn.tokens) ? count(drawn.tokens) : ""),
  );
  row.dataset.type = drawn.type;
  row.classList.toggle("failed", drawn.failed);
  row.classList.toggle("open", open);
  row.title = `${drawn.name} (${drawn.type})`;
  row.ariaLabel = [drawn.name, drawn.type, long, drawn.failed && "error"].filter(Boolean).join(", ");
  Object.assign(row, { ariaLevel: level, ariaPosInSet: index + 1, ariaSetSize: siblings });
  if (children.length) {
    row.ariaExpanded = String(!closed.has(drawn.id));
    twisty.dataset.toggle = drawn.id;
  }
  return row;
}

function bar({ start, end, first_token: firstToken }) {
  const shown = axis();
  const length = Math.max((end ?? shown.start + shown.length) - start, 0);
  const drawn = make("span", { className: "bar" });
  drawn.style.left = `${((start - shown.start) / shown.length) * 100}%`;
  drawn.style.width = `${(length / shown.length) * 100}%`;
  if (isNumber(firstToken)) drawn.style.setProperty("--waited", `${Math.min(firstToken / length, 1) * 100}%`);
  return drawn;
}
