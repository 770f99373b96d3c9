// What the page does to the emulator: roll, split, disable, turn the clock. Each is one request of the control
// API; what comes of it is seen by the events, like everything else.

import { byId, say, tag } from "./dom.js";

async function post(path, body) {
    try {
        const response = await fetch(`/_streams/api/${path}`, { method: "POST", body: JSON.stringify(body) });
        const answer = await response.json();
        if (!response.ok) {
            throw new Error(answer.message);
        }
        return answer;
    } catch (problem) {
        tell(`That did not work: ${problem.message}`, true);
        return null;
    }
}

let hush = null;

// Says what was done, and for a while shows it.
export function tell(text, isProblem = false) {
    const said = byId("said");
    said.classList.toggle("problem", isProblem);
    say(said, text);
    clearTimeout(hush);
    hush = setTimeout(() => say(said, ""), isProblem ? 12000 : 5000);
}

// Asks before something is done. The dialog keeps the focus, and Esc is no.
function ask({ title, text, yes, isDanger, withMs }) {
    const dialog = byId("ask");
    say(byId("ask-title"), title);
    say(byId("ask-text"), text);
    say(byId("ask-yes"), yes);
    byId("ask-yes").classList.toggle("danger", Boolean(isDanger));
    byId("ask-field").hidden = !withMs;
    dialog.returnValue = "no";
    dialog.showModal();
    (withMs ? byId("ask-ms") : byId("ask-no")).focus();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
}

// `chosen` says which stream and shard are looked at, `follow` goes to a shard that is about to appear.
export function connect(chosen, follow) {
    const replace = async (how, done) => {
        const { arn, shard } = chosen();
        if (!shard?.open) {
            tell("This shard is closed: select an open one, with an arrow at its end.", true);
            return;
        }
        const answer = await post(how, { streamArn: arn, shardId: shard.shardId });
        if (answer) {
            const children = answer.children.map(tag).join(" and ");
            tell(`Shard ${tag(shard.shardId)} ${done}; ${children} ${answer.children.length > 1 ? "go" : "goes"} on.`);
            follow(answer.children[0]);
        }
    };
    byId("roll").addEventListener("click", () => replace("roll", "was rolled"));
    byId("split").addEventListener("click", () => replace("split", "was split"));
    byId("disable").addEventListener("click", async () => {
        const { arn, stream } = chosen();
        const isSure = await ask({
            title: `Disable the stream of ${stream.tableName}?`,
            text: "All of its shards are closed, and writes to the table leave no records any more. What is in"
                + " the stream stays readable for a day. This cannot be undone; the table can get a new stream.",
            yes: "Disable", isDanger: true,
        });
        if (isSure && await post("disable", { streamArn: arn })) {
            tell(`The stream of ${stream.tableName} is disabled.`);
        }
    });

    const turn = async (advanceMs) => {
        const answer = await post("clock", { advanceMs });
        if (answer) {
            const expired = answer.expired === 1 ? "1 item" : `${answer.expired} items`;
            tell(`It is ${answer.now.replace("T", " ").slice(0, 19)} now; ${expired} expired.`);
        }
    };
    for (const button of document.querySelectorAll("#turn [data-ms]")) {
        button.addEventListener("click", () => turn(Number(button.dataset.ms)));
    }
    byId("turn-other").addEventListener("click", async () => {
        const isSure = await ask({
            title: "Turn the clock on", text: "It goes forward only. Items whose time has come expire, and"
                + " streams give up what is too old.", yes: "Turn", withMs: true,
        });
        const ms = byId("ask-ms").valueAsNumber;
        if (isSure && Number.isSafeInteger(ms) && ms > 0) {
            turn(ms);
        } else if (isSure) {
            tell("The clock is turned on by a whole number of milliseconds, from 1 on.", true);
        }
    });

    const dialog = byId("ask");
    byId("ask-no").addEventListener("click", () => dialog.close("no"));
    byId("ask-yes").addEventListener("click", () => dialog.close("yes"));
    byId("ask-ms").addEventListener("keydown", (event) => {
        if (event.key === "Enter") {
            event.preventDefault();
            dialog.close("yes");
        }
    });

    byId("copy").addEventListener("click", async () => {
        try {
            await navigator.clipboard.writeText(byId("commands").textContent);
            tell("Copied.");
        } catch {
            getSelection().selectAllChildren(byId("commands"));
            tell("The commands are selected: copy them by hand.");
        }
    });
}
