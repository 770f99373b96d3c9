// The page: it hears what happens (server-sent events), keeps what it heard, and has it shown.

import { connect, tell } from "./actions.js";
import { byId, count, say, utc } from "./dom.js";
import { Line } from "./line.js";
import { List } from "./list.js";
import { Records } from "./records.js";
import { Tree } from "./tree.js";

const model = { tables: new Map(), streams: new Map(), counts: {}, clock: null, shardCount: 0 };
// The part behind the # names the stream, so that a page that is loaded again shows the same one.
let selected = named(location.hash.slice(1));
// The shard to select when it appears.
let awaited = null;
let source = null;
let sinceMs = 0;

const line = new Line();
const records = new Records();
const list = new List(select);
const tree = new Tree((id) => {
    records.show(selected, tree.shards.get(id));
    buttons();
});
connect(
    () => ({ arn: selected, stream: model.streams.get(selected), shard: tree.shards.get(tree.selected) }),
    (id) => {
        awaited = id;
        follow();
    },
);

function named(part) {
    try {
        return decodeURIComponent(part) || null;
    } catch {
        return null;
    }
}

function listen() {
    source?.close();
    const query = selected ? `?stream=${encodeURIComponent(selected)}` : "";
    source = new EventSource(`/_streams/api/events${query}`);
    const heard = source;
    heard.addEventListener("state", (event) => {
        connection("live");
        forget(JSON.parse(event.data));
        take(JSON.parse(event.data), true);
    });
    heard.addEventListener("change", (event) => take(JSON.parse(event.data), false));
    heard.addEventListener("error", () => {
        connection("lost");
        if (heard.readyState === EventSource.CLOSED) {
            refused(heard);
        }
    });
}

// A server that refuses says why; the browser does not try again by itself then.
async function refused(heard) {
    try {
        const stop = new AbortController();
        const response = await fetch(heard.url, { signal: stop.signal });
        if (response.ok) {
            stop.abort();
        } else {
            say(byId("lost"), `Not connected: ${(await response.json()).message}. Trying again…`);
        }
    } catch {
        // Nobody is there; that is what the banner says.
    }
    setTimeout(() => {
        if (source === heard) {
            listen();
        }
    }, 2000);
}

function connection(state) {
    const element = byId("connection");
    const before = element.dataset.state;
    if (before === state) {
        return;
    }
    element.dataset.state = state;
    say(element, state === "live" ? "live" : "not connected");
    byId("lost").hidden = state === "live";
    document.body.classList.toggle("offline", state === "lost");
    if (state === "lost") {
        say(byId("lost"), "Not connected: the emulator does not answer. What is shown is what was last heard."
            + " Trying again…");
    } else if (before === "lost") {
        tell("Connected again.");
    }
}

// What is not in the whole state is not there any more.
function forget(state) {
    const keep = (map, values, name) => {
        const names = new Set((values ?? []).map((value) => value[name]));
        [...map.keys()].filter((key) => !names.has(key)).forEach((key) => map.delete(key));
    };
    keep(model.tables, state.tables, "tableName");
    keep(model.streams, state.streams, "streamArn");
    line.keep(new Set((state.streams ?? []).map((stream) => stream.streamArn)));
    const shards = new Set((state.tree?.shards ?? []).map((shard) => shard.shardId));
    tree.update([], [...tree.shards.keys()].filter((id) => !shards.has(id)));
}

function take(heard, isWhole) {
    if (heard.clock) {
        model.clock = heard.clock;
        sinceMs = performance.now();
    }
    model.counts = heard.counts ?? model.counts;
    heard.tables?.forEach((table) => model.tables.set(table.tableName, table));
    heard.tablesGone?.forEach((name) => model.tables.delete(name));
    for (const stream of heard.streams ?? []) {
        if (!isWhole && !model.streams.has(stream.streamArn)) {
            line.begin(stream.streamArn);
        }
        model.streams.set(stream.streamArn, stream);
        line.note(stream.streamArn, stream.counted, isWhole);
    }
    if (heard.streamsGone) {
        heard.streamsGone.forEach((arn) => model.streams.delete(arn));
        line.keep(model.streams);
    }
    if (!model.streams.has(selected)) {
        const newest = [...model.streams.values()].sort((a, b) => b.createdMs - a.createdMs)[0];
        if (newest || selected) {
            select(newest?.streamArn ?? null);
        }
    }
    if (heard.tree && model.streams.has(selected)) {
        model.shardCount = heard.tree.shardCount;
        tree.update(heard.tree.shards, heard.tree.shardsGone);
        follow();
        const shard = tree.shards.get(tree.selected);
        if (shard) {
            records.note(shard);
        }
    }
    show();
}

// Goes to the shard that a button has made, once it is there.
function follow() {
    if (tree.shards.has(awaited)) {
        tree.select(awaited);
        awaited = null;
        tree.reveal();
    }
}

function select(arn) {
    if (arn === selected && tree.shards.size > 0) {
        return;
    }
    selected = arn;
    history.replaceState(null, "", arn ? `#${encodeURIComponent(arn)}` : location.pathname);
    tree.clear();
    records.show(arn, null);
    line.show(arn);
    show();
    listen();
}

function buttons() {
    const isOpen = Boolean(tree.shards.get(tree.selected)?.open);
    for (const id of ["roll", "split"]) {
        // Not `disabled`, which would take the focus away from who pressed it.
        byId(id).setAttribute("aria-disabled", String(!isOpen));
    }
}

function show() {
    list.show(model, selected);
    const stream = model.streams.get(selected);
    byId("stream").hidden = !stream;
    byId("empty").hidden = Boolean(stream) || !model.clock;
    byId("turn").hidden = !model.clock?.manual;
    byId("system").hidden = !model.clock || model.clock.manual;
    showClock();
    document.title = stream ? `${stream.tableName} · streamcore` : "streamcore";
    if (!stream) {
        return;
    }
    say(byId("table"), stream.tableName);
    say(byId("status"), stream.streamStatus);
    byId("status").dataset.status = stream.streamStatus;
    say(byId("view"), stream.streamViewType.replaceAll("_", " ").toLowerCase());
    say(byId("made"), `since ${utc(stream.createdMs)} UTC`);
    say(byId("arn"), stream.streamArn);
    byId("disable").hidden = stream.streamStatus !== "ENABLED";
    const left = model.shardCount - tree.shards.size;
    byId("more").hidden = left <= 0;
    say(byId("more"), `and ${count(left)} more that are not drawn: open shards come first, then the newest of`
        + " the closed ones.");
    buttons();
    if (line.arn !== selected) {
        line.show(selected);
    }
    say(byId("total"), count(stream.records));
}

function showClock() {
    if (model.clock) {
        const passed = model.clock.manual ? 0 : performance.now() - sinceMs;
        say(byId("now"), utc(model.clock.nowMs + passed));
    }
}

// A page that nobody sees asks for nothing: a browser has few connections to one server.
document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
        source.close();
    } else {
        listen();
    }
});
setInterval(showClock, 500);

say(byId("commands"), `export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1
export AWS_ENDPOINT_URL=${location.origin}

aws dynamodb create-table --table-name Orders --billing-mode PAY_PER_REQUEST \\
    --attribute-definitions AttributeName=id,AttributeType=S \\
    --key-schema AttributeName=id,KeyType=HASH \\
    --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES
aws dynamodb put-item --table-name Orders --item '{"id": {"S": "1"}, "state": {"S": "placed"}}'`);
listen();
