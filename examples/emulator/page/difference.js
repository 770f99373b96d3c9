// The difference of two images, attribute by attribute; inside of maps and lists, too.

import { count, el } from "./dom.js";

// A text that is longer is cut, and says so.
const LONGEST = 4000;

export function difference(record) {
    const { Keys: keys = {}, OldImage: before, NewImage: after, StreamViewType: view } = record.dynamodb;
    const rows = [];
    const whole = view === "NEW_AND_OLD_IMAGES";
    const images = before || after;
    if (images) {
        compare(before ?? {}, after ?? {}, "", rows, new Set(Object.keys(keys)));
    } else {
        compare(keys, keys, "", rows, new Set());
    }
    const body = el("tbody");
    for (const row of rows) {
        // One image alone shows what is, not what has changed.
        body.append(show(whole ? row : { ...row, kind: "same", before: row.after ?? row.before }));
    }
    const notes = [];
    if (!whole) {
        notes.push(`This stream's records hold ${HOLDS[view] ?? view}, so there is nothing to compare.`);
    }
    if (record.userIdentity) {
        notes.push(`Expired by time to live (${record.userIdentity.principalId
            ?? record.userIdentity.PrincipalId}).`);
    }
    return el("div", { class: "difference" },
        el("table", {}, el("caption", { class: "hidden" }, "Attributes before and after"),
            el("colgroup", {}, el("col", { class: "sign" }), el("col", { class: "name" }), el("col")),
            el("thead", {}, el("tr", {}, ...["Change", "Attribute", "Value"].map((name) =>
                el("th", { scope: "col" }, el("span", { class: "hidden" }, name))))),
            body),
        ...notes.map((note) => el("p", { class: "faint" }, note)),
        el("p", { class: "mono faint break" },
            `${record.eventID} · ${count(record.dynamodb.SizeBytes)} bytes · ${record.dynamodb.SequenceNumber}`));
}

const HOLDS = { KEYS_ONLY: "the keys only", NEW_IMAGE: "the new image only", OLD_IMAGE: "the old image only" };

// Rows for the attributes of two maps: keys first, then by name.
function compare(before, after, path, rows, first) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    names.sort((a, b) => Number(first.has(b)) - Number(first.has(a)) || (a < b ? -1 : 1));
    for (const name of names) {
        descend(own(before, name), own(after, name), path + name, rows);
    }
}

// An attribute may be called like something that every object has.
const own = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);

function descend(before, after, name, rows) {
    if (before && after && before.M && after.M) {
        compare(before.M, after.M, `${name}.`, rows, new Set());
        if (Object.keys(before.M).length + Object.keys(after.M).length > 0) {
            return;
        }
    }
    if (before && after && before.L && after.L && before.L.length + after.L.length > 0) {
        for (let at = 0; at < Math.max(before.L.length, after.L.length); at += 1) {
            descend(before.L[at], after.L[at], `${name}[${at}]`, rows);
        }
        return;
    }
    const kind = !before ? "added" : !after ? "removed"
        : JSON.stringify(before) === JSON.stringify(after) ? "same" : "changed";
    rows.push({ kind, name, before, after });
}

const SIGNS = { added: "+", removed: "−", changed: "~", same: "" };
const WORDS = { added: "added", removed: "removed", changed: "changed", same: "unchanged" };

function show({ kind, name, before, after }) {
    const value = el("td", { class: "mono break" });
    if (kind === "changed") {
        value.append(el("del", {}, ...typed(before)), el("span", { class: "to", "aria-label": "becomes" }, " → "),
            el("ins", {}, ...typed(after)));
    } else if (kind === "added") {
        value.append(el("ins", {}, ...typed(after)));
    } else if (kind === "removed") {
        value.append(el("del", {}, ...typed(before)));
    } else {
        value.append(...typed(before));
    }
    return el("tr", { class: kind },
        el("td", { class: "sign mono" }, el("span", { "aria-hidden": "true" }, SIGNS[kind]),
            el("span", { class: "hidden" }, WORDS[kind])),
        el("th", { scope: "row", class: "mono break" }, name), value);
}

// A value, behind the letter of its type.
function typed(value) {
    const [type, inner] = Object.entries(value)[0] ?? ["?", ""];
    const text = type === "S" ? JSON.stringify(inner) : type === "N" || type === "B" ? inner
        : type === "NULL" ? "null" : JSON.stringify(inner);
    const shown = text.length > LONGEST
        ? `${text.slice(0, LONGEST)}… and ${count(text.length - LONGEST)} more characters` : text;
    return [el("abbr", { class: "type", title: TYPES[type] ?? type }, type), " ", el("span", {}, shown)];
}

const TYPES = {
    S: "string", N: "number", B: "bytes, in base64", SS: "set of strings", NS: "set of numbers",
    BS: "set of bytes", M: "map", L: "list", BOOL: "boolean", NULL: "null",
};
