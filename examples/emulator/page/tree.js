// The tree of shards as a picture. A shard is a bar, its children stand to its right; an open shard reaches to
// the right edge, which is now. Shards whose keys are neighbours are neighbours.

import { byId, calm, count, records, short, svg, tag } from "./dom.js";

const COLUMN = 148;
const LANE = 58;
const BAR = 36;
const GAP = 40;
const EDGE = 12;
// What an open bar leaves free behind its tail, for what is still to come.
const FUTURE = 30;

export class Tree {
    constructor(onSelect) {
        this.onSelect = onSelect;
        this.shards = new Map();
        this.drawn = new Map();
        this.selected = null;
        // Whether somebody has selected a shard by hand.
        this.chosen = false;
        this.edges = svg("g", { class: "edges", "aria-hidden": "true" });
        this.bars = svg("g");
        this.picture = svg("svg", { role: "tree", "aria-label": "Shards and their lineage" },
            svg("defs", {},
                svg("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse",
                    patternTransform: "rotate(45)" },
                    svg("rect", { class: "hatch", width: 2.5, height: 7 }))),
            this.edges, this.bars);
        this.frame = byId("tree");
        this.frame.append(this.picture);
        this.picture.addEventListener("keydown", (event) => this.key(event));
        new ResizeObserver(() => {
            if (this.frame.clientWidth !== this.width && this.shards.size > 0) {
                this.draw();
                this.reveal();
            }
        }).observe(this.frame);
    }

    clear() {
        this.shards.clear();
        this.drawn.clear();
        this.bars.replaceChildren();
        this.edges.replaceChildren();
        this.selected = null;
        this.chosen = false;
    }

    // Takes in changed shards and those that are gone.
    update(changed, gone) {
        let other = false;
        for (const id of gone) {
            other = this.shards.delete(id) || other;
        }
        for (const shard of changed) {
            const before = this.shards.get(shard.shardId);
            other = other || !before || before.open !== shard.open;
            this.shards.set(shard.shardId, shard);
        }
        if (other) {
            this.draw();
        }
        for (const shard of changed) {
            const drawn = this.drawn.get(shard.shardId);
            if (drawn) {
                this.fill(drawn, shard);
            }
        }
    }

    // Where each shard stands: its column is its generation, its lane lies amid those of its children.
    place() {
        const children = new Map();
        const roots = [];
        const byKeys = (a, b) => {
            const [one, two] = [BigInt(a.firstHash), BigInt(b.firstHash)];
            return one < two ? -1 : Number(one > two);
        };
        for (const shard of [...this.shards.values()].sort(byKeys)) {
            if (this.shards.has(shard.parentShardId)) {
                const siblings = children.get(shard.parentShardId) ?? [];
                siblings.push(shard.shardId);
                children.set(shard.parentShardId, siblings);
            } else {
                roots.push(shard.shardId);
            }
        }
        const places = new Map();
        let lanes = 0;
        let columns = 0;
        // Without recursion: a lineage may be long. A shard is met again when its children have their lanes.
        const left = roots.reverse().map((id) => ({ id, column: 0, back: false }));
        while (left.length > 0) {
            const { id, column, back } = left.pop();
            const own = children.get(id) ?? [];
            columns = Math.max(columns, column + 1);
            if (own.length === 0) {
                places.set(id, { column, lane: lanes });
                lanes += 1;
            } else if (back) {
                const lane = own.reduce((sum, child) => sum + places.get(child).lane, 0) / own.length;
                places.set(id, { column, lane });
            } else {
                left.push({ id, column, back: true });
                for (const child of [...own].reverse()) {
                    left.push({ id: child, column: column + 1, back: false });
                }
            }
        }
        return { places, lanes, columns };
    }

    draw() {
        const atEnd = this.frame.scrollLeft + this.frame.clientWidth >= this.frame.scrollWidth - 8;
        const { places, lanes, columns } = this.place();
        const room = this.frame.clientWidth || 600;
        const column = Math.max(COLUMN, Math.min(260, (room - 2 * EDGE) / columns));
        const width = Math.max(columns * column + 2 * EDGE, room);
        const height = lanes * LANE + 2 * EDGE;
        for (const [name, value] of [["width", width], ["height", height],
            ["viewBox", `0 0 ${width} ${height}`]]) {
            this.picture.setAttribute(name, value);
        }
        for (const [id, drawn] of this.drawn) {
            if (!places.has(id)) {
                drawn.bar.remove();
                this.drawn.delete(id);
            }
        }
        // In the order of creation, which is that of their names: so screen readers come by parents first.
        for (const id of [...places.keys()].sort()) {
            const place = places.get(id);
            const shard = this.shards.get(id);
            const drawn = this.drawn.get(id) ?? this.make(id);
            drawn.x = EDGE + place.column * column;
            drawn.y = EDGE + place.lane * LANE + (LANE - BAR) / 2;
            drawn.column = place.column;
            drawn.width = shard.open ? width - EDGE - drawn.x : column - GAP;
            drawn.bar.setAttribute("transform", `translate(${drawn.x} ${drawn.y})`);
            drawn.bar.setAttribute("aria-level", place.column + 1);
            this.fill(drawn, shard);
        }
        this.edges.replaceChildren(...[...this.shards.values()].flatMap((shard) => {
            const from = this.drawn.get(shard.parentShardId);
            const to = this.drawn.get(shard.shardId);
            if (!from) {
                return [];
            }
            const [x, y] = [from.x + from.width, from.y + BAR / 2];
            const middle = (x + to.x) / 2;
            const end = to.y + BAR / 2;
            return [svg("path", { d: `M${x},${y}C${middle},${y} ${middle},${end} ${to.x},${end}` })];
        }));
        if (atEnd) {
            this.frame.scrollLeft = this.frame.scrollWidth;
        }
        this.width = room;
        const open = [...this.shards.values()].filter((shard) => shard.open);
        const left = !this.chosen && open.length > 0 && !this.shards.get(this.selected)?.open;
        // Until somebody has chosen a shard, it is one that records come to.
        if (left || !this.shards.has(this.selected)) {
            const follower = open.find((shard) => shard.parentShardId === this.was);
            const first = follower ?? open[0] ?? [...this.shards.values()].at(-1);
            this.select(first?.shardId ?? null);
            this.reveal();
        }
    }

    // Has the selected bar in sight.
    reveal() {
        const drawn = this.drawn.get(this.selected);
        if (drawn) {
            const { clientWidth: width, clientHeight: height } = this.frame;
            // An open bar is long: its end is what matters.
            const left = drawn.x + Math.min(drawn.width, COLUMN) > this.frame.scrollLeft + width
                || drawn.x < this.frame.scrollLeft ? drawn.x - EDGE : this.frame.scrollLeft;
            this.frame.scrollTo({
                left, top: drawn.y + BAR / 2 - height / 2, behavior: calm() ? "auto" : "smooth",
            });
        }
    }

    make(id) {
        const part = (tagName, name) => svg(tagName, { class: name });
        const drawn = {
            base: part("rect", "base"), gone: svg("rect", { class: "gone", fill: "url(#hatch)" }), kept: part("rect", "kept"),
            outline: part("rect", "outline"), trim: part("path", "trim"), tail: part("path", "tail"), dot: part("circle", "dot"),
            arrow: part("path", "arrow"), name: part("text", "name"), size: part("text", "size"),
        };
        drawn.bar = svg("g", { role: "treeitem", tabindex: -1, "aria-selected": "false" },
            drawn.base, drawn.gone, drawn.kept, drawn.outline, drawn.trim, drawn.arrow, drawn.tail, drawn.dot,
            drawn.name, drawn.size);
        drawn.name.textContent = tag(id);
        drawn.bar.dataset.shard = id;
        drawn.bar.addEventListener("click", () => {
            this.chosen = true;
            this.select(id);
            drawn.bar.focus();
        });
        this.bars.append(drawn.bar);
        this.drawn.set(id, drawn);
        return drawn;
    }

    // The figures of one shard.
    fill(drawn, shard) {
        const { trimmed, tail, open } = shard;
        const set = (element, attributes) => {
            for (const [name, value] of Object.entries(attributes)) {
                element.setAttribute(name, value);
            }
        };
        const full = drawn.width - (open ? FUTURE : 0);
        const at = tail > 0 ? (trimmed / tail) * full : 0;
        // An empty shard's tail is where it begins.
        const end = tail > 0 ? full : 0;
        set(drawn.base, { width: drawn.width, height: BAR, rx: 7 });
        set(drawn.outline, { width: drawn.width, height: BAR, rx: 7 });
        set(drawn.gone, { width: at, height: BAR, rx: 7 });
        set(drawn.kept, { x: at, width: end - at, height: BAR, rx: at > 0 ? 2 : 7 });
        drawn.trim.setAttribute("d", trimmed > 0 ? `M${at},-4V${BAR + 4}` : "");
        drawn.tail.setAttribute("d", open ? `M${end},-4V${BAR + 4}` : `M${drawn.width},2V${BAR - 2}`);
        set(drawn.dot, { cx: end, cy: BAR / 2, r: 4, visibility: open ? "visible" : "hidden" });
        const tip = drawn.width;
        drawn.arrow.setAttribute("d", open ? `M${tip - 15},${BAR / 2 - 6}l7,6l-7,6` : "");
        set(drawn.name, { x: 10, y: 15 });
        set(drawn.size, { x: 10, y: 29 });
        const kept = tail - trimmed;
        drawn.size.textContent = tail === 0 ? "empty"
            : trimmed > 0 ? `${short(kept)} of ${short(tail)}` : records(tail);
        if (open && drawn.seen !== undefined && tail > drawn.seen && !calm()) {
            drawn.dot.getAnimations().forEach((animation) => animation.cancel());
            drawn.dot.animate([{ r: "9px", opacity: 0.5 }, { r: "4px", opacity: 1 }], 450);
        }
        drawn.seen = tail;
        drawn.bar.setAttribute("class", `shard ${open ? "open" : "closed"}`);
        const parent = shard.parentShardId ? `, from ${tag(shard.parentShardId)}` : "";
        const lost = trimmed > 0 ? `, ${count(trimmed)} of them trimmed` : "";
        drawn.bar.setAttribute("aria-label",
            `Shard ${tag(shard.shardId)}, ${open ? "open" : "closed"}, ${records(tail)}${lost}${parent}`);
    }

    select(id) {
        this.drawn.get(this.selected)?.bar.setAttribute("aria-selected", "false");
        for (const { bar } of this.drawn.values()) {
            bar.setAttribute("tabindex", "-1");
        }
        this.selected = id;
        this.was = id;
        const bar = this.drawn.get(id)?.bar;
        bar?.setAttribute("aria-selected", "true");
        bar?.setAttribute("tabindex", "0");
        this.onSelect(id);
    }

    // Left and right along the lineage, up and down among the bars of a column.
    key(event) {
        const from = this.drawn.get(this.selected);
        if (!from || event.altKey || event.ctrlKey || event.metaKey) {
            return;
        }
        const shard = this.shards.get(this.selected);
        const all = [...this.drawn].sort(([, a], [, b]) => a.y - b.y);
        const beside = (step) => {
            const column = all.filter(([, other]) => other.column === from.column);
            return column[column.findIndex(([id]) => id === this.selected) + step]?.[0];
        };
        const to = {
            ArrowLeft: () => shard.parentShardId,
            ArrowRight: () => all.find(([id]) =>
                this.shards.get(id).parentShardId === this.selected)?.[0],
            ArrowUp: () => beside(-1),
            ArrowDown: () => beside(1),
            Home: () => [...this.shards.keys()].sort()[0],
            End: () => [...this.shards.keys()].sort().at(-1),
            Enter: () => this.selected,
        }[event.key];
        if (!to) {
            return;
        }
        event.preventDefault();
        const id = to();
        if (this.drawn.has(id)) {
            this.chosen = true;
            this.select(id);
            this.drawn.get(id).bar.focus({ preventScroll: true });
            this.reveal();
        }
    }
}
