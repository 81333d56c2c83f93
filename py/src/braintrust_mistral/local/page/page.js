// The page: the traces that are there, the chosen one as a tree with a time axis or as a thread, the chosen span.

const SPAN_HEIGHT = 28;
const TRACE_HEIGHT = 48;
// By how much the axis of an open trace grows, so that it does so seldom.
const AXIS_GROWTH = 1.25;
const AXIS_LABEL_WIDTH = 52;
const POLL_MILLISECONDS = 500;
// What of a span is shown, in this order; the rest of its row comes below.
const SECTIONS = ["error", "input", "output", "expected", "scores", "metadata", "metrics", "tags"];

const byId = (id) => document.getElementById(id);

/** Traces by their ids: {id, totals, thread, spans (by id), name, start, end, nodes (the spans as a tree)}. */
const traces = new Map();
/** The ids of the spans whose children are hidden. */
const closed = new Set();
let trace;
let span;
let connected = embedded.live;
let threadOf;
let addressing;

const traceList = new VirtualList(byId("traces"), TRACE_HEIGHT, drawTrace, chooseTrace);
const tree = new VirtualList(byId("tree"), SPAN_HEIGHT, drawSpan, (node) => chooseSpan(node.span));

// What there is.

function take({ traces: changed, spans, kept }) {
  for (const { id, totals, thread } of changed) {
    const before = traces.get(id);
    traces.set(id, { id, spans: before?.spans ?? new Map(), totals, thread });
  }
  for (const each of spans) traces.get(each.trace).spans.set(each.id, each);
  for (const { id } of changed) measure(traces.get(id));
  const gone = kept ? new Set(traces.keys()).difference(new Set(kept)) : [];
  for (const id of gone) traces.delete(id);
}

function measure(each) {
  each.nodes = nodesOf([...each.spans.values()]);
  each.name = each.nodes[0].span.name;
  const starts = each.nodes.map((node) => node.span.start).filter(isNumber);
  each.start = least(starts);
  each.end = -least([...starts, ...each.nodes.map((node) => node.span.end).filter(isNumber)].map((time) => -time));
  each.open = each.nodes.some((node) => isOpen(node.span));
}

function visibleNodes() {
  let hiddenBelow = Infinity;
  return trace.nodes.filter((node) => {
    if (node.level > hiddenBelow) return false;
    hiddenBelow = closed.has(node.span.id) ? node.level : Infinity;
    return true;
  });
}

// What is chosen.

function chooseTrace(chosen) {
  trace = chosen;
  chooseSpan(trace.nodes[0].span);
}

function chooseSpan(chosen) {
  span = chosen;
  // Browsers refuse addresses that change as fast as a key repeats.
  clearTimeout(addressing);
  addressing = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams({ span: span.id })}`), 200);
  show();
  showSpan();
  byId("pane").scrollTop = 0;
}

/** Choose a span wherever it is, and have it in sight. */
function goTo(target) {
  trace = traces.get(target.trace);
  for (let node = trace.nodes.find((each) => each.span === target).parent; node; node = node.parent) {
    closed.delete(node.span.id);
  }
  chooseSpan(target);
  for (const list of [traceList, tree]) list.scrollTo(list.active);
}

/** Go to the next span of the trace for which this holds, beginning again after the last one. */
function goToNext(holds) {
  const found = trace.nodes.map((node) => node.span).filter(holds);
  const position = new Map(trace.nodes.map((node, index) => [node.span, index]));
  const next = found.find((each) => position.get(each) > position.get(span)) ?? found[0];
  if (next) goTo(next);
  return next ? `${found.indexOf(next) + 1} of ${found.length}` : "not found";
}

// What is shown.

function show() {
  const all = [...traces.values()];
  document.body.classList.toggle("single", all.length < 2);
  document.body.classList.toggle("nothing", !trace);
  traceList.show(all, all.indexOf(trace));
  showStatus();
  if (!trace) return;
  document.title = `${trace.name} – Traces`;
  byId("trace-name").textContent = trace.name;
  showTotals();
  showAxis();
  const nodes = visibleNodes();
  tree.show(nodes, nodes.findIndex((node) => node.span === span));
  if (!byId("thread").hidden && threadOf !== trace) showThread();
}

function showStatus() {
  const status =
    !embedded.live ? (traces.size ? "" : "no traces")
    : !connected ? "ended"
    : traces.size ? "live"
    : "waiting for the first span";
  const element = byId("status");
  if (element.textContent !== status) element.textContent = status;
  element.className = status.split(" ")[0];
}

function showTotals() {
  const { totals } = trace;
  const tokens = `${count(totals.tokens)}`;
  const split = `${count(totals.prompt_tokens)} in, ${count(totals.completion_tokens)} out`;
  const shown = {
    Duration: trace.open ? "open" : duration(trace.end - trace.start) || null,
    Spans: count(totals.spans),
    "Model calls": totals.llm_calls ? count(totals.llm_calls) : null,
    Tokens: totals.tokens ? make("span", {}, tokens, " ", make("small", {}, split)) : null,
    "Estimated cost": totals.cost === null ? null : `$${totals.cost.toPrecision(3)}`,
    Began: moment(trace.start),
  };
  const entries = Object.entries(shown).filter(([, value]) => value !== null);
  byId("totals").replaceChildren(
    ...entries.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
  byId("errors").hidden = !totals.errors;
  byId("errors").textContent = totals.errors === 1 ? "1 error" : `${count(totals.errors)} errors`;
}

/** The time that the axis covers, from when on and how long in seconds. */
function axisOf({ start, end, open }) {
  const length = Math.max(end - start, 1e-4);
  if (!open || !connected) return { start, length };
  const growing = Math.max(Date.now() / 1000 - start, length);
  return { start, length: AXIS_GROWTH ** Math.ceil(Math.log(growing) / Math.log(AXIS_GROWTH)) };
}

function showAxis() {
  const { length } = axisOf(trace);
  const axis = byId("axis");
  const rough = length / Math.max(axis.clientWidth / AXIS_LABEL_WIDTH, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
  byId("timeline").style.setProperty("--step", `${(step / length) * 100}%`);
  const room = Math.max(1 - AXIS_LABEL_WIDTH / axis.clientWidth, 0) * length;
  const ticks = Array.from({ length: Math.floor(room / step) + 1 }, (_, index) => index * step);
  axis.replaceChildren(
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
  row.ariaLabel = [name, clock(start), long, tokens, totals.errors && `${totals.errors} errors`].filter(Boolean).join(", ");
  return row;
}

function drawSpan(node) {
  const { span: drawn, level, index, count: siblings, children } = node;
  const open = isOpen(drawn);
  const long = open ? "open" : isNumber(drawn.end) ? duration(drawn.end - drawn.start) : "";
  const twisty = make("span", { className: "twisty" });
  const name = make("span", { className: "name" }, twisty, make("i", { className: "dot" }), make("span", {}, drawn.name));
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
  const axis = axisOf(trace);
  const length = Math.max((end ?? axis.start + axis.length) - start, 0);
  const drawn = make("span", { className: "bar" });
  drawn.style.left = `${((start - axis.start) / axis.length) * 100}%`;
  drawn.style.width = `${(length / axis.length) * 100}%`;
  if (isNumber(firstToken)) drawn.style.setProperty("--waited", `${Math.min(firstToken / length, 1) * 100}%`);
  return drawn;
}

function showThread() {
  threadOf = trace;
  const said = trace.thread.map(([id, field, index]) => {
    const value = trace.spans.get(id)?.row[field];
    const item = Array.isArray(value) ? value[index] : value;
    return { by: trace.spans.get(id), field, message: item?.message ?? item };
  });
  const view = ({ by, field, message }) => {
    const link = make("button", { type: "button", className: "link", onclick: () => goTo(by) }, by.name);
    return messageView(message, field === "output" ? link : null);
  };
  const none = make("p", { className: "hint" }, "No span of this trace is a model call with messages.");
  byId("thread").replaceChildren(said.length ? appendViews(make("div", { className: "conversation" }), said, view) : none);
}

function showSpan() {
  const { row, name, type, start, end } = span;
  const long = isOpen(span) ? "open" : isNumber(end) ? duration(end - start) : null;
  const facts = [moment(start), long].filter(Boolean).join(" · ");
  const chip = make("span", { className: "chip" }, type);
  chip.dataset.type = type;
  const heading = make("header", {}, make("h2", {}, name), chip, make("p", {}, facts));
  const sections = SECTIONS.filter((field) => field in row && row[field] !== null);
  const rest = Object.entries(row).filter(([field]) => !SECTIONS.includes(field));
  const more = make("details", {}, make("summary", {}, "Rest of the row"), valueView(Object.fromEntries(rest)));
  byId("pane").replaceChildren(heading, ...sections.map((field) => sectionView(field, row[field])), more);
}

function sectionView(field, value) {
  const section = make("section", {}, make("h3", {}, field), valueView(value));
  section.dataset.field = field;
  return section;
}

// What the reader does.

function toggle(id, close = !closed.has(id)) {
  if (close) closed.add(id);
  else closed.delete(id);
  show();
}

byId("tree").addEventListener("keydown", (event) => {
  const node = tree.items[tree.active];
  if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
  const isClosed = closed.has(node.span.id);
  const canOpen = node.children.length > 0;
  if (event.key === "ArrowRight" && canOpen && isClosed) toggle(node.span.id, false);
  else if (event.key === "ArrowRight" && canOpen) tree.activate(tree.active + 1);
  else if (event.key === "ArrowLeft" && canOpen && !isClosed) toggle(node.span.id, true);
  else if (event.key === "ArrowLeft" && node.parent) tree.activate(tree.items.indexOf(node.parent));
  else if (event.key === "Enter") byId("pane").focus();
  else return;
  event.preventDefault();
});

byId("tree").addEventListener("click", ({ target }) => {
  if (target.dataset.toggle) toggle(target.dataset.toggle);
});

byId("errors").addEventListener("click", () => goToNext((each) => each.failed));

byId("find").addEventListener("keydown", (event) => {
  const text = event.target.value.toLowerCase();
  if (event.key !== "Enter" || !text || !trace) return;
  byId("found").textContent = goToNext((each) => JSON.stringify(each.row).toLowerCase().includes(text));
});

new ResizeObserver(() => trace && showAxis()).observe(byId("axis"));

byId("find").addEventListener("input", () => {
  byId("found").textContent = "";
});

for (const radio of document.querySelectorAll("[name=view]")) {
  radio.addEventListener("change", () => {
    byId("timeline").hidden = radio.value !== "timeline";
    byId("thread").hidden = radio.value !== "thread";
    show();
  });
}

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// The beginning, and what comes later.

function start() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("span");
  const all = [...traces.values()];
  const target = all.map((each) => each.spans.get(wanted)).find(Boolean);
  if (target) goTo(target);
  else if (all.length) chooseTrace(all[0]);
  else show();
}

/** Show what has changed; what is being read stays as it is. */
function refresh() {
  // What is replaced between the press of a button and its release gets no click.
  if (document.documentElement.matches(":active")) return;
  trace = traces.get(trace.id);
  if (!trace) return start();
  const before = span;
  span = trace.spans.get(span.id);
  show();
  if (span !== before) showSpan();
}

/** What the server says that came after so many rows; nothing where it does not answer. */
async function changesSince(since) {
  try {
    return await (await fetch(`page/rows?since=${since}`)).json();
  } catch {
    return null;
  }
}

async function follow() {
  let since = 0;
  for (;;) {
    const asked = performance.now();
    const update = await changesSince(since);
    connected = update !== null;
    if (update && update.arrived !== since) {
      take(update);
      since = update.arrived;
    }
    if (trace) refresh();
    else start();
    // A server that is busy with much is asked seldom.
    const pause = Math.max(POLL_MILLISECONDS, 5 * (performance.now() - asked));
    await new Promise((resolve) => setTimeout(resolve, connected ? pause : 10 * pause));
  }
}

take(embedded);
start();
if (embedded.live) follow();
