// What traces consist of: spans as a tree, and their times and numbers as they are read.

/** The spans as the nodes of a tree, depth first; the children of one span in the order in which they began. */
function nodesOf(spans) {
  spans.sort((one, other) => (one.start ?? 0) - (other.start ?? 0) || one.order - other.order);
  const known = new Map(spans.map((span) => [span.span_id, span]));
  const children = Map.groupBy(spans, (span) =>
    known.get(span.parents.find((id) => id !== span.span_id && known.has(id))),
  );
  const nodes = [];
  const placed = new Set();
  const place = (root, index, count) => {
    // No recursion: a trace may be as deep as it is long.
    const stack = [{ span: root, level: 1, index, count, parent: null }];
    while (stack.length) {
      const node = stack.pop();
      placed.add(node.span);
      node.children = (children.get(node.span) ?? []).filter((child) => !placed.has(child));
      nodes.push(node);
      const below = node.children.map((span, at, { length }) => ({
        span,
        level: node.level + 1,
        index: at,
        count: length,
        parent: node,
      }));
      for (const child of below.reverse()) stack.push(child);
    }
  };
  const roots = children.get(undefined) ?? [];
  roots.forEach((root, index) => place(root, index, roots.length));
  // Spans that are one another's parents hang from no root.
  for (const span of spans) if (!placed.has(span)) place(span, 0, 1);
  return nodes;
}

function isNumber(value) {
  return typeof value === "number";
}

function isOpen({ start, end }) {
  return isNumber(start) && !isNumber(end);
}

function least(numbers) {
  return numbers.reduce((one, other) => Math.min(one, other), Infinity);
}

function count(number) {
  return number.toLocaleString("en");
}

function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 0.00995) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed()} ms`;
  if (seconds < 59.995) return `${seconds.toFixed(2)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours ? `${hours} h ${minutes} m` : `${minutes} m ${whole % 60} s`;
}

function moment(seconds) {
  const time = new Date(seconds * 1000);
  return isNaN(time) ? null : time.toLocaleString("sv");
}

function clock(seconds) {
  return moment(seconds)?.split(" ")[1];
}
