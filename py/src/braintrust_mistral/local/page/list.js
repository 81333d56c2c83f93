// Lists of any length, of which only what is seen is there.

const OVERSCAN = 8;

/** A scrolled list with one active row, moved by the arrow keys, Home, End, and by page; its rows have one height. */
class VirtualList {
  items = [];
  active = -1;

  /**
   * @param box the element that scrolls, with a role and the focus
   * @param rowHeight in pixels
   * @param draw makes the row of an item
   * @param choose is called with an item when it becomes active
   */
  constructor(box, rowHeight, draw, choose) {
    Object.assign(this, { box, rowHeight, draw, choose });
    this.rows = make("div", { className: "rows" });
    box.append(this.rows);
    box.addEventListener("scroll", () => this.redraw(), { passive: true });
    box.addEventListener("keydown", (event) => this.pressed(event));
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.activate(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.redraw()).observe(box);
  }

  show(items, active) {
    Object.assign(this, { items, active });
    this.rows.style.height = `${items.length * this.rowHeight}px`;
    this.redraw();
  }

  activate(index) {
    if (!this.items.length) return;
    this.active = Math.min(Math.max(index, 0), this.items.length - 1);
    this.scrollTo(this.active);
    this.redraw();
    this.choose(this.items[this.active]);
  }

  scrollTo(index) {
    const top = index * this.rowHeight;
    const last = top + this.rowHeight - this.box.clientHeight;
    if (this.box.scrollTop > top) this.box.scrollTop = top;
    else if (this.box.scrollTop < last) this.box.scrollTop = last;
  }

  pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(Math.floor(this.box.clientHeight / this.rowHeight) - 1, 1);
    const targets = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.items.length - 1,
    };
    if (!Object.hasOwn(targets, event.key)) return;
    event.preventDefault();
    this.activate(targets[event.key]);
  }

  redraw() {
    const first = Math.max(Math.floor(this.box.scrollTop / this.rowHeight) - OVERSCAN, 0);
    const end = Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.rowHeight) + OVERSCAN;
    const drawn = new Set(this.items.slice(first, end).map((_, offset) => first + offset));
    // The active row is there wherever it is: the focused list names it to screen readers.
    if (this.active >= 0 && this.active < this.items.length) drawn.add(this.active);
    const rows = this.rows.cloneNode();
    rows.append(...[...drawn].sort((one, other) => one - other).map((index) => this.row(index)));
    // What did not change stays the same elements: screen readers would tell of others.
    if (!this.rows.isEqualNode(rows)) this.rows.replaceChildren(...rows.children);
    const active = this.rows.querySelector("[aria-selected=true]");
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(index) {
    const row = this.draw(this.items[index], index);
    row.id = `${this.box.id}-${index}`;
    row.dataset.index = index;
    row.ariaSelected = String(index === this.active);
    row.style.top = `${index * this.rowHeight}px`;
    row.style.height = `${this.rowHeight}px`;
    return row;
  }
}
