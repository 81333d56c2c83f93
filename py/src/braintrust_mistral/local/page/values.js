// What values look like. Whatever a trace holds becomes the text of an element, never markup.

const SHOWN_AT_ONCE = 100;
const SHOWN_CHARACTERS = 3000;

const byId = (id) => document.getElementById(id);

const embedded = JSON.parse(byId("data").textContent);
const attachments = new Map(Object.entries(embedded.attachments));
const shownTypes = new Set(embedded.types);

/** An element with these properties and children; a child that is a string is text. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Append the views of all items, at first of as many as can be read; a button brings the next ones. */
function appendViews(parent, items, view) {
  parent.append(...items.slice(0, SHOWN_AT_ONCE).map(view));
  const rest = items.slice(SHOWN_AT_ONCE);
  if (rest.length) {
    const more = () => {
      button.remove();
      appendViews(parent, rest, view);
    };
    const button = make("button", { type: "button", className: "more", onclick: more }, `${rest.length} more`);
    parent.append(button);
  }
  return parent;
}

function valueView(value, depth = 0) {
  const media = mediaOf(value);
  if (media) return mediaView(media);
  if (typeof value === "string") return jsonView(parsed(value), value, depth);
  if (!isCompound(value)) return make("span", { className: "atom" }, String(value));
  if (isList(value, isMessage)) return appendViews(make("div"), value, (message) => messageView(message));
  if (isList(value, isChoice)) return appendViews(make("div"), value, (choice) => choiceView(choice));
  const fields = Object.entries(value);
  if (!fields.length) return make("span", { className: "atom" }, Array.isArray(value) ? "[ ]" : "{ }");
  return appendViews(make("div", { className: "fields" }), fields, ([name, item]) => fieldView(name, item, depth));
}

function fieldView(name, value, depth) {
  const key = make("span", { className: "key" }, name);
  const inner = parsed(value);
  if (!isCompound(inner) || mediaOf(inner) || !Object.keys(inner).length) {
    return make("div", { className: "field" }, key, valueView(value));
  }
  const size = Object.keys(inner).length;
  const preview = `${inner === value ? "" : "JSON "}${Array.isArray(inner) ? `[ ${size} ]` : `{ ${size} }`}`;
  const details = make("details", {}, make("summary", {}, key, make("span", { className: "preview" }, preview)));
  // Only what is open is there: a value may be large.
  details.addEventListener("toggle", () => details.append(valueView(value, depth + 1)), { once: true });
  details.open = depth < 3 && size <= 20;
  return details;
}

/** A text, or what it holds where that is JSON, with a button for the text. */
function jsonView(value, text, depth) {
  if (value === text) return textView(text);
  const asText = () => view.replaceChildren(textView(text));
  const button = make("button", { type: "button", className: "more", onclick: asText }, "as text");
  const view = make("div", {}, valueView(value, depth), button);
  return view;
}

function textView(text) {
  if (text === "") return make("span", { className: "atom" }, "empty text");
  const view = make("div", { className: "text" }, text.slice(0, SHOWN_CHARACTERS));
  if (text.length > SHOWN_CHARACTERS) {
    const label = `… all ${text.length.toLocaleString("en")} characters`;
    const all = () => view.replaceChildren(text);
    view.append(make("button", { type: "button", className: "more", onclick: all }, label));
  }
  return view;
}

/** One message of a chat, with who says it, what it calls, and whatever else it has. */
function messageView(message, ...labels) {
  const { role, content, tool_calls: calls, name, tool_call_id: answered, ...others } = message;
  const heading = make("header", {}, make("b", {}, role), ...labels);
  for (const label of [name, answered]) if (label) heading.append(make("code", {}, String(label)));
  const view = make("article", { className: "message" }, heading);
  view.dataset.role = role;
  const parts = Array.isArray(content) ? content : [content];
  view.append(...parts.filter((part) => part !== null && part !== undefined && part !== "").map(partView));
  if (Array.isArray(calls)) view.append(...calls.map(callView));
  const left = Object.entries(others).filter(([, value]) => value !== null);
  if (left.length) view.append(valueView(Object.fromEntries(left), 2));
  return view;
}

/** One part of a message's content: text and media as such, anything else as the value that it is. */
function partView(part) {
  if (part?.type === "text" && typeof part.text === "string") return textView(part.text);
  const inside = part?.image_url?.url ?? part?.image_url ?? part?.file?.file_data;
  return valueView(mediaOf(inside) ? inside : part, 2);
}

function callView(call) {
  const called = call?.function;
  if (typeof called?.name !== "string") return valueView(call, 2);
  const heading = make("header", {}, make("b", {}, called.name), call.id ? make("code", {}, String(call.id)) : null);
  return make("div", { className: "call" }, heading, valueView(called.arguments ?? "", 2));
}

function choiceView(choice) {
  const reason = typeof choice.finish_reason === "string" ? make("code", {}, choice.finish_reason) : null;
  return messageView(choice.message, reason);
}

/** The object or list that a text of JSON holds; any other value as it is. */
function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** What a reference to an attachment, or a data URL, leads to; nothing for other values. */
function mediaOf(value) {
  if (typeof value === "string" && value.startsWith("data:")) {
    const type = /^data:([\w.+-]+\/[\w.+-]+)[;,]/.exec(value.slice(0, 100))?.[1];
    return shownTypes.has(type) ? { type, name: `inline.${type.split("/")[1]}`, url: value } : null;
  }
  if (value?.type !== "braintrust_attachment") return null;
  const named = String(value.content_type).split(";")[0].trim().toLowerCase();
  const type = shownTypes.has(named) ? named : "application/octet-stream";
  const key = String(value.key);
  const content = attachments.get(key);
  const remote = embedded.live ? `page/attachment?${new URLSearchParams({ key, type })}` : null;
  const url = content === undefined ? remote : `data:${type};base64,${content}`;
  return { type, name: String(value.filename ?? "attachment"), url, named };
}

function mediaView({ type, name, url, named = type }) {
  if (!url) return make("p", { className: "atom" }, `${name} (${named}), which is not in this file`);
  const missing = ({ target }) => target.replaceWith(make("p", { className: "atom" }, "cannot be shown"));
  const kind = type.split("/")[0];
  const shown =
    kind === "image"
      ? make("img", { src: url, alt: name, loading: "lazy", onerror: missing })
      : kind === "audio"
        ? make("audio", { src: url, controls: true, preload: "metadata", ariaLabel: name })
        : null;
  const link = make("a", { href: url, download: name }, name);
  return make("figure", {}, shown, make("figcaption", {}, link, ` ${named}`));
}

function isCompound(value) {
  return typeof value === "object" && value !== null;
}

function isList(value, test) {
  return Array.isArray(value) && value.length > 0 && value.every(test);
}

function isMessage(value) {
  return typeof value?.role === "string";
}

function isChoice(value) {
  return isMessage(value?.message);
}
