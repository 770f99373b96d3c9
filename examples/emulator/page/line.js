// Records per second of the last two minutes, as a line. What a stream was told about while another one was
// looked at is kept, so its line is whole when one comes back.

import { byId, el, say, short, svg } from "./dom.js";

const SECONDS = 120;
const [WIDTH, HEIGHT] = [600, 110];

// One stream: how many records each second brought, and the last count.
class History {
    constructor(seen) {
        this.seen = seen;
        this.buckets = new Map();
    }
}

export class Line {
    constructor() {
        this.histories = new Map();
        this.arn = null;
        this.area = svg("path", { class: "area", fill: "url(#fade)" });
        this.stroke = svg("path", { class: "stroke" });
        this.picture = svg("svg",
            { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
            svg("defs", {}, svg("linearGradient", { id: "fade", x1: 0, y1: 0, x2: 0, y2: 1 },
                svg("stop", { offset: 0, class: "fade-top" }), svg("stop", { offset: 1, class: "fade-end" }))),
            ...[0, 0.5, 1].map((part) => svg("line", {
                class: "grid", x1: 0, x2: WIDTH, y1: this.height(part), y2: this.height(part),
            })),
            this.area, this.stroke);
        this.top = el("p", { class: "scale faint" });
        byId("line").append(this.top, this.picture,
            el("p", { class: "ends faint" }, el("span", {}, "2 min ago"), el("span", {}, "now")));
        // The line moves on although nothing happens.
        setInterval(() => this.draw(), 1000);
    }

    height(part) {
        return HEIGHT - 4 - part * (HEIGHT - 16);
    }

    // The count of a stream, now. `fresh`: nothing is known of the time since the last one.
    note(arn, counted, fresh) {
        const history = this.histories.get(arn);
        if (!history) {
            this.histories.set(arn, new History(counted));
            return;
        }
        const more = counted - history.seen;
        history.seen = counted;
        if (more > 0 && !fresh) {
            const second = Math.floor(Date.now() / 1000);
            history.buckets.set(second, (history.buckets.get(second) ?? 0) + more);
        }
    }

    // A stream that came while we looked: all of its records are new.
    begin(arn) {
        this.histories.set(arn, new History(0));
    }

    // Forgets streams that are not among these.
    keep(arns) {
        [...this.histories.keys()].filter((arn) => !arns.has(arn)).forEach((arn) => this.histories.delete(arn));
    }

    show(arn) {
        this.arn = arn;
        this.draw();
    }

    draw() {
        const now = Math.floor(Date.now() / 1000);
        for (const { buckets } of this.histories.values()) {
            for (const second of buckets.keys()) {
                if (second < now - SECONDS) {
                    buckets.delete(second);
                }
            }
        }
        const history = this.histories.get(this.arn);
        if (!history) {
            return;
        }
        const rates = [];
        for (let second = now - SECONDS; second < now; second += 1) {
            rates.push(history.buckets.get(second) ?? 0);
        }
        const peak = Math.max(...rates, 0);
        const top = ceiling(peak);
        const x = (index) => (index / (SECONDS - 1)) * WIDTH;
        const points = rates.map((rate, i) => `${x(i).toFixed(1)},${this.height(rate / top).toFixed(1)}`);
        this.stroke.setAttribute("d", `M${points.join("L")}`);
        const floor = this.height(0);
        this.area.setAttribute("d", `M0,${floor}L${points.join("L")}L${WIDTH},${floor}Z`);
        say(this.top, `${short(top)}/s`);
        say(byId("rate"), short(rates[rates.length - 1]));
        say(byId("peak"), short(peak));
    }
}

// A round number that is not below this one.
function ceiling(number) {
    const step = 10 ** Math.floor(Math.log10(Math.max(number, 10)));
    return [1, 2, 5, 10].map((times) => times * step).find((round) => round >= number);
}
