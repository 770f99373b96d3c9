// The list of tables and their streams, and the drawer that holds it where there is little room.

import { byId, count, el, say, short, utc } from "./dom.js";

export class List {
    constructor(onSelect) {
        this.onSelect = onSelect;
        this.frame = byId("list");
        this.shape = "";
        this.entries = new Map();
        const menu = byId("menu");
        menu.addEventListener("click", () => this.open(menu.getAttribute("aria-expanded") !== "true"));
        document.addEventListener("keydown", (event) => {
            if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
                this.open(false);
                menu.focus();
            }
        });
        byId("main").addEventListener("click", () => this.open(false));
    }

    open(isOpen) {
        byId("menu").setAttribute("aria-expanded", String(isOpen));
        document.body.classList.toggle("drawer", isOpen);
    }

    show({ tables, streams, counts }, selected) {
        const names = new Set([...tables.keys(), ...[...streams.values()].map((s) => s.tableName)]);
        const groups = [...names].sort().map((name) => ({
            name,
            streams: [...streams.values()].filter((stream) => stream.tableName === name)
                .sort((a, b) => b.createdMs - a.createdMs),
        }));
        const shape = JSON.stringify([counts, groups.map(({ name, streams: own }) =>
            [name, tables.has(name), own.map((stream) => stream.streamArn)])]);
        if (shape !== this.shape) {
            this.shape = shape;
            this.build(groups, tables, streams, counts);
        }
        for (const [name, entry] of this.entries) {
            entry(name, selected);
        }
    }

    build(groups, tables, streams, counts) {
        const focused = document.activeElement?.dataset?.arn;
        this.entries.clear();
        const nodes = groups.map(({ name, streams: own }) => {
            const items = el("span", { class: "faint" });
            this.entries.set(`table ${name}`, () => {
                const table = tables.get(name);
                // Only a table with a stream says when it changes.
                say(items, !table ? "deleted" : table.streamEnabled
                    ? `${count(table.itemCount)} ${table.itemCount === 1 ? "item" : "items"}` : "no stream");
            });
            return el("section", {}, el("h2", {}, el("span", { class: "name" }, name), items),
                el("ul", {}, ...own.map((stream) => this.stream(stream.streamArn, streams))));
        });
        const left = (all, shown, what) => (all > shown
            ? [el("p", { class: "faint note" }, `and ${count(all - shown)} more ${what}: the newest are shown`)]
            : []);
        this.frame.replaceChildren(...nodes, ...left(counts.tables, tables.size, "tables"),
            ...left(counts.streams, streams.size, "streams"));
        if (groups.length === 0) {
            this.frame.append(el("p", { class: "faint note" }, "No tables yet."));
        }
        if (focused) {
            this.frame.querySelector(`[data-arn="${CSS.escape(focused)}"]`)?.focus();
        }
    }

    stream(arn, streams) {
        const [label, figures] = [el("span", { class: "label" }), el("span", { class: "faint" })];
        const light = el("i", { class: "light", "aria-hidden": "true" });
        const button = el("button", { type: "button", class: "stream", "data-arn": arn },
            light, label, figures);
        button.addEventListener("click", () => {
            this.onSelect(arn);
            this.open(false);
        });
        this.entries.set(arn, (_, selected) => {
            const stream = streams.get(arn);
            if (!stream) {
                return;
            }
            const enabled = stream.streamStatus === "ENABLED";
            light.classList.toggle("on", enabled);
            say(label, utc(stream.createdMs, 0, 19));
            say(figures, `${enabled ? `${count(stream.openShards)} open` : stream.streamStatus.toLowerCase()}, `
                + `${short(stream.records)} rec.`);
            button.setAttribute("aria-current", String(arn === selected));
        });
        return el("li", {}, button);
    }
}
