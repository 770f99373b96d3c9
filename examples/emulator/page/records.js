// The last records of a shard, newest first; each opens to the difference of its images.

import { byId, count, el, records, say, utc } from "./dom.js";
import { difference } from "./difference.js";

const PAGE = 50;
// So many are kept in the list when new ones come; whoever wants more asks for older ones.
const KEPT = 200;
// The list is read again no sooner.
const PACE_MS = 250;

export class Records {
    constructor() {
        this.list = byId("records");
        this.arn = null;
        this.shard = null;
        // By position, which is where a record lies in its shard.
        this.shown = new Map();
        this.reading = false;
        this.again = false;
        byId("older").addEventListener("click", () => this.older());
        byId("newer").addEventListener("click", () => this.newest());
    }

    show(arn, shard) {
        if (this.arn === arn && this.shard?.shardId === shard?.shardId) {
            return;
        }
        this.arn = arn;
        this.shard = null;
        this.shown.clear();
        this.list.replaceChildren();
        byId("newer").hidden = true;
        byId("older").hidden = true;
        say(byId("shard"), shard?.shardId ?? "");
        say(byId("none"), shard ? "" : "Select a shard to see its records.");
        if (shard) {
            this.note(shard);
        }
    }

    // The figures of the shard, as they are now.
    note(shard) {
        const before = this.shard;
        this.shard = shard;
        if (shard.published === 0) {
            say(byId("none"), shard.open ? "Nothing yet: records appear here as they are put."
                : "This shard was closed before anything was put.");
            return;
        }
        if (!before || shard.published > before.published) {
            this.news();
        } else if (shard.trimmed > before.trimmed) {
            this.forget();
        }
    }

    // Somebody who reads a record is not to have it pushed away.
    isBusy() {
        return this.list.contains(document.activeElement) || this.list.querySelector("[open]") !== null;
    }

    news() {
        if (this.shown.size > 0 && this.isBusy()) {
            const more = this.shard.published - 1 - Math.max(...this.shown.keys());
            byId("newer").hidden = more <= 0;
            say(byId("newer"), `Show ${records(more).replace(" ", " new ")}`);
        } else {
            this.newest();
        }
    }

    async newest() {
        if (this.reading) {
            this.again = true;
            return;
        }
        byId("newer").hidden = true;
        if (await this.read("")) {
            // What is too far down to be looked at goes.
            const last = [...this.shown.keys()].sort((a, b) => b - a).slice(KEPT);
            last.forEach((position) => this.remove(position));
        }
        this.finish();
    }

    async older() {
        const first = Math.min(...this.shown.keys());
        if (!this.reading && Number.isFinite(first) && first > this.first) {
            await this.read(`&before=${first}`);
            this.finish();
        }
    }

    async read(query) {
        const { arn, shard } = this;
        this.reading = true;
        const path = `/_streams/api/records?stream=${encodeURIComponent(arn)}`
            + `&shard=${encodeURIComponent(shard.shardId)}&limit=${PAGE}${query}`;
        let answer = null;
        try {
            const response = await fetch(path);
            answer = await response.json();
            if (!response.ok) {
                throw new Error(answer.message);
            }
        } catch (problem) {
            if (this.arn === arn && this.shard?.shardId === shard.shardId) {
                say(byId("none"), `The records could not be read: ${problem.message}`);
            }
            return false;
        }
        if (this.arn !== arn || this.shard?.shardId !== shard.shardId) {
            this.again = true;
            return false;
        }
        this.take(answer, query === "");
        return true;
    }

    // More may have come while this was on its way.
    finish() {
        setTimeout(() => {
            this.reading = false;
            if (this.again && this.shard) {
                this.again = false;
                this.news();
            }
        }, PACE_MS);
    }

    take({ from, end, trimmed, records: read }, isNewest) {
        const newest = Math.max(-1, ...this.shown.keys());
        if (isNewest && newest >= 0 && from > newest + 1) {
            // There are some between these and those that are shown: the list has no holes.
            [...this.shown.keys()].forEach((position) => this.remove(position));
        }
        read.forEach((record, index) => {
            const position = from + index;
            if (!this.shown.has(position)) {
                this.insert(position, record);
            }
        });
        this.first = trimmed;
        say(byId("none"), end === trimmed ? "All records of this shard were trimmed." : "");
        this.forget();
    }

    insert(position, record) {
        const item = show(record);
        const below = [...this.shown.keys()].filter((other) => other < position);
        const next = below.length > 0 ? this.shown.get(Math.max(...below)) : null;
        this.list.insertBefore(item, next);
        this.shown.set(position, item);
    }

    remove(position) {
        this.shown.get(position).remove();
        this.shown.delete(position);
    }

    // Marks what was trimmed since it was read, and offers what is older.
    forget() {
        this.first = Math.max(this.first ?? 0, this.shard.trimmed);
        for (const [position, item] of this.shown) {
            item.classList.toggle("trimmed", position < this.first);
        }
        const lowest = Math.min(...this.shown.keys());
        byId("older").hidden = !Number.isFinite(lowest) || lowest <= this.first;
        say(byId("older"), `Older records (${count(Math.max(0, lowest - this.first))} more)`);
    }
}

const SIGNS = { INSERT: "+", MODIFY: "~", REMOVE: "−" };

function show(record) {
    const data = record.dynamodb;
    const keys = Object.entries(data.Keys ?? {}).map(([name, value]) =>
        el("span", { class: "key" }, el("span", { class: "faint" }, `${name} `), plain(value)));
    const ms = data.ApproximateCreationDateTime * 1000;
    const summary = el("summary", {},
        el("span", { class: `event ${record.eventName.toLowerCase()}` },
            el("i", { "aria-hidden": "true" }, SIGNS[record.eventName] ?? "?"), record.eventName),
        el("span", { class: "keys mono" }, ...keys),
        el("time", { class: "mono faint", datetime: utc(ms).replace(" ", "T") + "Z", title: `${utc(ms)} UTC` },
            utc(ms, 11)),
        el("span", { class: "number mono faint", title: `Sequence number ${data.SequenceNumber}` },
            data.SequenceNumber));
    const details = el("details", {}, summary);
    // Most are never opened.
    details.addEventListener("toggle", () => details.append(difference(record)), { once: true });
    return el("li", {}, details);
}

// A key's value: a string, a number or bytes.
function plain(value) {
    return String(Object.values(value)[0]);
}
