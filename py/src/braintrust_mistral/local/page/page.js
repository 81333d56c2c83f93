// The page: the traces that are there, the chosen one as a tree with a time axis or as a thread, the chosen span.

const SPAN_HEIGHT = 28;
const TRACE_HEIGHT = 48;
const POLL_MILLISECONDS = 500;
// What of a span is shown, in this order; the rest of its row comes below.
const SECTIONS = ["error", "input", "output", "expected", "scores", "metadata", "metrics", "tags"];

/** Traces by their ids: {id, totals, thread, spans (by id), name, start, end, nodes (the spans as a tree)}. */
const traces = new Map();
/** The ids of the spans whose children are hidden. */
const closed = new Set();
let trace;
let span;
let connected = embedded.live;
/** The span whose time the axis shows, or nothing where it shows the whole trace. */
let zoomed = null;
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
  zoomed = null;
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
  if (trace?.id !== target.trace) zoomed = null;
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
  tree.show(
    nodes,
    nodes.findIndex((node) => node.span === span),
  );
  if (!byId("thread").hidden && threadOf !== trace) showThread();
}

function showStatus() {
  const status = !embedded.live
    ? traces.size
      ? ""
      : "no traces"
    : !connected
      ? "ended"
      : traces.size
        ? "live"
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
  byId("thread").replaceChildren(
    said.length ? appendViews(make("div", { className: "conversation" }), said, view) : none,
  );
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

/** Have the axis show the time of the chosen span, or again that of the whole trace. */
function zoom() {
  zoomed = zoomed || !isNumber(span.start) ? null : span;
  show();
}

byId("zoom").addEventListener("click", zoom);

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
  else if (event.key === "z") zoom();
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
  zoomed = zoomed && trace.spans.get(zoomed.id);
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
    if (update?.kept) take(update);
    since = update?.latest ?? since;
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
